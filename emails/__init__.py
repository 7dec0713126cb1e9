"""Mails to customers: one folder per mail with `subject.txt`, `body.txt` and `body.html`."""
