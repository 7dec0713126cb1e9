"""Everything that one machine needs to run the service without any outside service.

`make up` (`local.up`), `make demo` (`local.demo`) and the tests use it; the product imports
nothing from here.
"""
