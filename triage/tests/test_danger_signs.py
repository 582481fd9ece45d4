"""Each danger sign that the rules must cover, in French, English, Pidgin and Camfranglais."""

import pytest

from triage import rulebook
from triage.engine import assess
from triage.levels import Level

EMERGENCIES = {
    "airway": ["ses lèvres sont bleues", "her lips are blue", "e lip don blue", "ses lèvres sont blue"],
    "shock": ["le sang coule sans arrêt", "he is bleeding heavily", "blood no gree stop", "le blood ne stop pas"],
    "convulsion": ["il convulse", "she is having a fit", "e di jerk, eye turn", "il shake, les yeux sont partis"],
    "trauma": ["le camion lui a roulé dessus, jambe écrasée", "a truck ran over her leg", "lorry climb e leg", "le camion a monté sur son pied"],
    "poison": ["il a bu du gramoxone", "he drank pesticide", "e drink rat poison", "il a drink le gramoxone"],
    "snake": ["un serpent l'a mordu", "a snake bit him", "snake bite am", "le serpent l'a bite"],
    "heart": ["poitrine serrée et bras gauche lourd", "crushing chest pain, sweating", "chest di press me, sweat di run", "la poitrine me serre, je transpire"],
    "pregnancy": ["enceinte, elle saigne beaucoup", "pregnant with heavy bleeding", "e get belle and blood di comot", "ma go est enceinte, le sang coule"],
    "maternal": ["enceinte, mal de tête qui ne passe pas et vue trouble", "pregnant, bad headache, blurred vision", "get belle, head di pain, eye di see double", "enceinte, la tête me tue et je see double"],
    "postpartum": ["elle a accouché hier et perd beaucoup de sang", "gave birth yesterday, soaking pads", "e born yesterday, blood plenty", "elle a born hier, le sang ne stop pas"],
    "child": ["mon enfant ne boit plus", "my child cannot drink", "ma pikin no fit drink", "le muna ne peut plus boire"],
    "infant": ["bébé d'un mois, il respire vite et tète mal", "one month old baby, not feeding", "baby one month no gree suck", "bébé d'un mois, il suce plus"],
    "newborn": ["nouveau-né avec le nombril qui coule du pus", "newborn with pus from the navel", "new born pikin navel get pus", "nouveau-né, le nombril a le pus"],
    "dehydration": ["diarrhée, yeux creux, très faible", "diarrhoea, sunken eyes, very weak", "belle di run, eye don sink, e weak", "il chie l'eau, yeux enfoncés, faible"],
    "cholera": ["diarrhée comme l'eau de riz", "stool like rice water", "shit like rice water", "il chie comme l'eau de riz"],
    "malaria": ["palu, il ne tient plus debout et délire", "malaria, he cannot stand and is confused", "malaria, e no fit stand, di talk anyhow", "palu grave, il peut plus se lever, il délire"],
    "stroke": ["sa bouche est tordue", "her face is drooping", "e mouth don twist", "sa bouche est partie de côté"],
    "sepsis": ["fièvre, confus, peau marbrée", "fever, confused, mottled skin", "body hot, e di talk anyhow, skin patch patch", "il chauffe, il délire, la peau marbrée"],
    "meningitis": ["fièvre et nuque raide", "fever and stiff neck", "hot body, neck don stiff", "il chauffe, la nuque est bloquée"],
    "sickle cell": ["drépanocytaire avec mal à la poitrine", "sickle cell with chest pain", "sickler, chest di pain", "drépano, la poitrine me die"],
    "suicide": ["je veux me tuer", "I want to kill myself", "I wan kill myself", "je veux me kill"],
    "dialysis": ["dialyse manquée, il étouffe", "missed dialysis, cannot breathe", "miss dialysis, no fit breathe", "dialyse ratée, il souffle mal"],
    "withdrawal": ["il a arrêté l'alcool, il tremble et voit des bêtes", "stopped alcohol, shaking and seeing things", "e stop drink, di shake, di see rats", "il a stop l'alcool, il tremble, il voit les rats"],
    "rescue": ["au secours, appelez une ambulance", "please call an ambulance", "abeg call ambulance", "au secours les gars venez vite"],
}  # fmt: skip

URGENT = {
    "neck": ["gros gonflement au cou qui grandit, fièvre", "swelling in my throat, fever", "neck di swell, body hot", "le cou est gonflé, je chauffe"],
    "wheeze": ["il siffle en respirant", "he is wheezing", "e chest di whistle", "il siffle quand il respire"],
    "faint": ["je me suis évanoui ce matin", "I fainted this morning", "I faint this morning", "j'ai perdu connaissance ce mat"],
    "urine": ["je n'arrive plus à uriner", "I cannot pass urine", "I no fit piss", "je peux plus pisser"],
    "dislocation": ["épaule déboîtée", "my shoulder is dislocated", "shoulder don comot", "l'épaule est sortie"],
    "dog": ["un chien m'a mordu", "a dog bit me", "dog bite me", "le chien m'a bite"],
    "needle": ["piqué avec une aiguille usagée", "stuck with a used needle", "used needle chook me", "l'aiguille usagée m'a piqué"],
    "rape": ["on m'a violée", "I was raped", "dem rape me", "le gars m'a violée"],
    "wound": ["clou rouillé dans le pied", "stepped on a rusty nail", "rusty nail enter my foot", "le clou rouillé a chook mon pied"],
    "arv": ["mes ARV sont finis", "I ran out of my ARVs", "my ARV don finish", "mes ARV sont finish"],
    "alcohol": ["sans ma bière le matin mes mains tremblent", "without a drink my hands shake", "if I no drink my hand di shake", "sans la bière mes mains shakent"],
    "partner": ["mon copain a la gonorrhée", "my partner has syphilis", "my man get gonorrhoea", "ma go a la chtouille"],
    "lens": ["lentilles de contact, œil rouge", "contact lens and red eye", "contact lens, eye don red", "j'ai les lentilles, l'œil est rouge"],
    "shingles": ["je crois que c'est un zona", "I think it is shingles", "doctor say na shingles", "j'ai le zona"],
    "help": ["aidez-moi s'il vous plaît", "help me please", "wuna help me abeg", "aidez moi les gars"],
}  # fmt: skip

CASES = [
    pytest.param(text, at_least, id=f"{name}-{text}")
    for at_least, table in ((Level.EMERGENCY, EMERGENCIES), (Level.URGENT, URGENT))
    for name, texts in table.items()
    for text in texts
]


@pytest.fixture(scope="module")
def rules():
    """Without the learned signal."""
    return rulebook.shipped()


@pytest.mark.parametrize(("text", "at_least"), CASES)
def test_danger_is_read_by_a_rule(text, at_least, rules):
    assert assess(text, rules)[0].level.rank >= at_least.rank
