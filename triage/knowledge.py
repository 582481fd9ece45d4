"""Questions of how to keep from an illness, where it comes from, how water is made safe. Pure.

A whole sentence must be of such a form, and no more words may follow what is asked about than name it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PREVENT = r"(?:prevent|avoid|evite[rz]?|prevenir|prevention)"
_CATCH = r"(?:catch|get|attrape|attraper|avoir|attrapper)"
_SPREAD = r"(?:from spreading|spread)"
_ANYBODY = r"(?:i|we|you|one|person|people|man|je|on|nous|tu|vous|gens)"
_CAN = rf"(?:(?:can|could|do|does|should|must|to|go|fit|take|for|di|dey|{_ANYBODY}|peut|peux|puis|doit|dois|faut|il|est|ce|que|qu|fait|faire|pour) )"
_MINE = r"(?:(?:my|mon|ma|mes|our|notre|nos) )?"
_FAMILY = r"(?:child|children|pikin|enfant|enfants|family|famille|baby|bebe|house|people|body)"
_SELF = r"(?:myself|ourselves|yourself|moi|nous|yi self|e self|we self|my self|self|me)"
_WHO = rf"(?:{_MINE}{_FAMILY}|{_SELF})"
_NOT_NAMED = (
    r"(?:i|im|me|my|mine|mon|ma|mes|je|j|moi|he|she|his|her|him|il|elle|lui|son|sa|ses|e|yi|dem|our|notre|"
    r"this|these|ce|cet|cette|ces|the|who|qui|wey|weh|now|maintenant|since|depuis|already|deja|still|encore|"
    r"and|et|but|mais|or|ou|not|no|pas|plus|sans|without|"
    r"death|die|dying|dead|mort|meure|mourir|couler|flow|run|bleed|bleeding|bleeds|blood|sang|saigner|"
    r"again|back|stop|arreter|arrete|wait|attendre|today|hier|yesterday|"
    r"worse|suicide|tuer|kill|killing|kills|miscarriage|losing|perdre|"
    r"rape|raped|viol|viols|abuse|beat|beating|beatings|coups?|frappe|violence|violent|touching|touch|"
    r"father|uncle|husband|stepfather|pere|oncle|mari|papa|voisin|neighbour|after|apres|afta|"
    r"noirs?|noires?|black|bleue?s?|blue|tordue?s?|twisted|stuck|coincee?)"
)
_WORD = rf"(?!{_NOT_NAMED}\b)[a-z]+"
_ILLNESS = rf"(?:(?:le|la|les|l|the|du|de|des|d) )*{_WORD}(?: {_WORD}){{0,2}}"
_HOW = r"(?:how|comment|koman|que|quoi|what|weti|wetin)"

_FORMS = tuple(
    re.compile(form)
    for form in (
        # how to prevent cholera; comment éviter le choléra; peut-on prévenir l'AVC
        rf"(?:{_HOW} |(?=peut on |can )){_CAN}{{0,7}}{_PREVENT} {_ILLNESS}",
        # que faire pour ne pas attraper le choléra
        rf"{_HOW} {_CAN}{{0,7}}(?:not to|not|pas|no) {_CATCH} {_ILLNESS}",
        # weti man fit do make cholera no catch me
        rf"{_HOW} {_CAN}{{0,4}}(?:do )?make {_ILLNESS} no catch(?: (?:{_WHO}|e|yi|we|man|person|people))?",
        rf"{_HOW} {_CAN}{{0,4}}(?:do )?make {_WHO} no catch {_ILLNESS}",
        # how do I protect my child from malaria
        rf"{_HOW} {_CAN}{{0,6}}(?:protect|proteger|protege) {_WHO} (?:from|for|against|contre|du|de|des|d) {_ILLNESS}",
        # how to stop cholera from spreading here
        rf"{_HOW} {_CAN}{{0,4}}(?:stop|empecher) {_ILLNESS} {_SPREAD}(?: (?:in|for) [a-z]+(?: [a-z]+)?)?",
        # qu'est-ce qui donne le choléra; d'où vient le choléra
        rf"(?:qu est ce qui|d ou) (?:donne|cause|provoque|vient|viennent) {_ILLNESS}",
        # how many drops of bleach for 20 litres of water
        r"(?:combien|how many|how much)(?: de| of)? (?:gouttes?|drops?|javel|bleach|chlorine|cuilleres?|spoons?|caps?|bouchons?)"
        r"(?: (?:de|d|of|javel|bleach|chlorine|eau|water|treat|traiter|purify|clean|safe|make|to|pour|for|je|j|on|i|we|go|fit|"
        r"should|do|can|mets|met|mettre|put|add|faut|il|dans|in|into|inside|un|une|a|one|the|l|le|la|seau|bidon|"
        r"bucket|jerrycan|gallon|container|litres?|liters?|fut|drum|puits|well|\d+))+",
    )
)


def asks_to_know(said: Sequence[str]) -> bool:
    """Whether a sentence only asks how an illness is kept away or where it comes from."""
    text = " ".join(said)
    return any(form.fullmatch(text) for form in _FORMS)
