"""The languages of mails and pages: English stands in the templates, the others beside them.

Each `translations/<language>.po` is read at start; a test holds it to the templates.
"""

from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from domain.formats import parse_locale

SOURCE_LANGUAGE = "en"
_FOLDER = Path(__file__).parent / "translations"


def read_translations(folder: Path = _FOLDER) -> dict[str, NullTranslations]:
    """The texts of all languages there are in a folder; by default those of mails."""
    translations: dict[str, NullTranslations] = {SOURCE_LANGUAGE: NullTranslations()}
    for path in sorted(folder.glob("*.po")):
        compiled = BytesIO()
        with path.open("rb") as file:
            write_mo(compiled, read_po(file, locale=path.stem))
        compiled.seek(0)
        translations[path.stem] = Translations(compiled)
    return translations


def choose_locale(
    checkout_locale: str | None, shop_language: str, languages: frozenset[str]
) -> Locale:
    """How a customer's mail is written: the first of these whose language there is.

    A region stays, since it says how money and dates are written: `de-CH` is German with
    Swiss figures.

    Args:
        checkout_locale: The Checkout Session's `locale`; `auto` or None where none was chosen.
        shop_language: The shop's own.
        languages: Those that there are.
    """
    for name in (checkout_locale, shop_language):
        locale = parse_locale(name)
        if locale is not None and locale.language in languages:
            return locale
    return Locale(SOURCE_LANGUAGE)
