"""Who asks how an illness is kept away is not ill; who tells of somebody in the same words is heard."""

import pytest

from triage import rulebook
from triage.engine import assess
from triage.levels import Level

CALM = (
    "Weti man fit do make cholera no catch yi?",
    "How I go do make cholera no catch me?",
    "koman evité le cholera",
    "cmt on fait pr évité le choléra",
    "que faire pour ne pas attraper le choléra",
    "How to stop cholera from spreading in our quarter?",
    "Qu'est-ce qui donne le choléra ?",
    "Qu'est-ce qui donne des crises d'épilepsie ?",
    "D'où vient le choléra ?",
    "Comment protéger mon enfant du paludisme ?",
    "How do I protect my child from malaria?",
    "Combien de gouttes de javel je mets dans un bidon de 20 litres ?",
    "How many drops of bleach for 20 litres of water?",
)
DANGERS = (
    "How do I prevent my baby from dying, he has fits?",
    "How to stop blood from spreading in my eye?",
    "How do I protect my child from convulsions, she is shaking now",
    "How do I protect my baby who has fever and fits?",
    "How do I prevent cholera? My child has watery diarrhoea and sunken eyes",
    "How to prevent a miscarriage, I am bleeding at 3 months?",
    "Comment éviter que mon bébé meure, il convulse",
    "Comment éviter le choléra ? mon fils a la diarrhée comme l'eau de riz",
    "que faire pour pas perdre le bb je saigne bcp",
    "Comment protéger mon enfant qui ne respire plus ?",
    "Comment protéger mon bébé du tétanos, il est raide et ne tète plus",
    "Qu'est-ce qui donne du sang dans mes vomissements ?",
    "Qu'est-ce qui donne les convulsions de mon fils",
    "D'où vient le sang que je vomis ?",
    "D'où vient ce sang qui coule sans arrêt ?",
    "Weti I fit do make my pikin no die, e di shake",
    "How I go do make pikin no catch convulsion again, e di shake now?",
    "Wetin I go do make i no die, snake bite me",
    "How for prevent cholera, my pikin di shit water and e eye don enter",
    "How many drops of bleach did my child drink?",
    "Combien de gouttes de javel mon enfant a bu ?",
    "Combien de javel il a avalé dans le bidon",
    "How much bleach I drink make I die",
    "Combien de cuillères de javel pour mourir ?",
    "how much bleach to die",
    "how many tablets to kill myself?",
)


@pytest.mark.parametrize("message", CALM)
def test_how_an_illness_is_kept_away_is_no_illness(message):
    assert assess(message, rulebook.current())[0].level in (Level.NONE, Level.UNKNOWN)


@pytest.mark.parametrize("message", DANGERS)
def test_a_danger_told_in_the_same_words_is_heard(message):
    assert assess(message, rulebook.current())[0].level is Level.EMERGENCY


# Urgent at least: what keeps from harm has hours or days to begin.
HARMED = (
    "how to prevent HIV after rape",
    "How can I prevent HIV after rape?",
    "comment éviter une grossesse après un viol",
    "how to avoid pregnancy after he raped me",
    "comment éviter le sida après qu'il m'a violée",
    "what can i take to avoid belle after dem rape me",
    "how can i prevent rabies after dog bite",
    "comment éviter la rage, un chien m'a mordu",
    "how do i prevent rabies, a dog bit me",
    "how to avoid swelling after snake bite",
    "comment eviter le tetanos, on m'a poignardé au bras",
    "How do I protect my child from rape",
    "how do i protect my baby from father beating",
    "qu'est-ce qui donne bouche tordue bras faible",
    "Qu'est-ce qui donne des vomissements noirs",
    "how do i protect my baby from fever fits stiff neck",
)


@pytest.mark.parametrize("message", HARMED)
def test_who_asks_to_be_kept_from_what_happened_to_them_is_heard(message):
    assert assess(message, rulebook.current())[0].level in (Level.URGENT, Level.EMERGENCY)
