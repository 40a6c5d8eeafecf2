"""English words in lower case, by their possible roles in a sentence, for the grammar of `language.subject`.

The lists overlap as in English ("watch" is a noun and a verb); the grammar decides the role of a word in a sentence.
Verbs are listed in their base form, from which the regular forms are derived.
"""

from __future__ import annotations

import re


def word_set(text: str) -> frozenset[str]:
    """The words of a text of words and spaces."""
    return frozenset(text.split())


# Words that may themselves name the target of a question.
QUESTION = word_set("who whom what which whose")
PRONOUNS = word_set(
    "i you he she it they we me him us them someone somebody everyone everybody anyone anybody something anything "
    "everything nobody nothing"
)
REFLEXIVES = word_set("myself yourself himself herself itself ourselves themselves")
POSSESSIVES = word_set("my your his her its our their")
NUMBERS = word_set("one two three four five six seven eight nine ten several many few most")
# Numbers that tell one of several, after a noun: "player seven".
_UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
CARDINALS = word_set(" ".join([*_UNITS, *_TEENS, *_TENS, *(f"{ten}-{unit}" for ten in _TENS for unit in _UNITS)]))
# Units of age: "a 3 year old boy".
AGES = word_set("year years yr yrs month months week weeks day days")
DETERMINERS = (
    word_set("a an the this that these those another some any every each all both no other half")
    | POSSESSIVES
    | NUMBERS
)
BE = word_set("is are was were be been being am 's 're isn't aren't wasn't")
AUXILIARIES = BE | word_set("has have had does do did can could will would shall should may might must doesn't don't")
PLURAL_AUXILIARIES = word_set("are were have do")
# Words that open a clause or an infinitive after a noun phrase, and so end it.
RELATIVES = word_set("who whom whose which that where when while as because if until so than to not")
CONJUNCTIONS = word_set("and or but nor then")
PREPOSITIONS = word_set(
    "in on at by with without of from into onto to towards toward above below beneath under underneath over behind "
    "beside besides between among amongst near inside outside through across along around against before after during "
    "off out up down past next opposite within upon away for about like via throughout despite except beyond amid "
    "alongside atop facing"
)
# Words that open a clause before the main one: "When the door opens, ..."
SUBORDINATORS = word_set("after before when while as once until till because if since although though whenever where")
ADVERBS = word_set(
    "then now first firstly next finally afterwards afterward later soon again also just still once there here "
    "meanwhile meantime suddenly always often never very quite so too almost together alone away back forward "
    "forwards backwards indoors outdoors upstairs downstairs home please originally already even only perhaps maybe "
    "today"
)
# Words that follow a verb but rarely a noun: "looks up".
PARTICLES = word_set("up down out off over back away forward around")
# Requests that precede the target: "find the dog".
IMPERATIVES = word_set(
    "find show locate track detect spot ground localize localise identify give look search see watch tell highlight "
    "pinpoint retrieve follow get return display select choose isolate mark label segment box pick point check seek "
    "draw extract list fetch indicate outline try help let let's go jump skip take bring"
)
# Those that may also name a thing or a person: "box office clerk".
NAMING = word_set("box mark label segment point check draw list outline")
# Those that lead to a part of the video: "go to the moment when".
LEADING = word_set("go jump skip take bring")
# Words after a request, before the target or another request: "look for", "help me find".
REQUEST_PARTICLES = word_set("me us out for at to down")
# Polite words before a request: "could you please find".
POLITE = word_set("please kindly can could would will you")
# "The video shows ...": the words for the video, and for its showing.
FOOTAGE = word_set("video clip footage scene picture image shot film")
SHOWING = word_set("shows depicts features displays")
# "Clips of a man", "videos with a cat": parts of a video and what joins them to the target.
CLIPS = {f"{word}s" for word in FOOTAGE - {"footage"}} | word_set("photo photos recording recordings") | FOOTAGE
INSTANCES = word_set("instance instances example examples occurrence occurrences")
CLIP_LINKS = word_set("of with showing containing featuring depicting")
# The answer itself, as in "draw a box around the dog".
ANSWERS = word_set("box boxes tube tubes mask masks location locations position positions outline")
# Words for a part of the video, before a clause with the target: "the moment (when) the dog jumps".
_MOMENT = FOOTAGE - {"picture", "image"} | word_set(
    "moment instant time point part second minute segment section frame"
)
MOMENTS = _MOMENT | {f"{word}s" for word in _MOMENT - {"footage"}}
# Words before these.
EXACT = word_set(
    "the a an this that exact very precise first last same next short all any both every each these those two"
)
# Words between "there" and the target: "there seems to be".
EXISTING = word_set("to seem seems appear exist exists live lives stand sit lie hang")
COLOURS = word_set(
    "black white red blue green yellow orange purple pink brown gray grey beige cyan khaki silver gold golden tan "
    "navy maroon turquoise violet teal crimson scarlet olive ivory cream magenta indigo mint lavender burgundy "
    "colorful colourful multicolored multicoloured striped plaid checkered dark light pale bright"
)
ADJECTIVES = COLOURS | word_set(
    "big small large little tiny huge tall short long young old new older younger elder elderly middle-aged aged bald "
    "fat thin slim skinny heavy strong thick wide narrow round square rectangular triangular flat male female blond "
    "blonde brunette curly straight long-haired short-haired left right upper lower front rear middle center central "
    "second third fourth fifth last same opposite different whole own main far near nearest leftmost rightmost "
    "topmost naked shirtless barefoot beautiful pretty handsome cute ugly happy sad angry furious calm drunk asleep "
    "awake wet dry clean dirty empty full open closed hot cold soft hard wooden metal metallic plastic electric "
    "electronic transparent clear shiny fluffy furry hairy woolen leather denim floral fancy formal casual military "
    "chinese american asian african indian japanese korean western foreign strange mysterious injured lean busy "
    "pregnant lame blind dead sick wild chubby plump stout muscular sturdy petite bigger biggest smaller smallest "
    "taller tallest shorter shortest larger largest thinner fatter fattest best many other single"
)
# Garments, their parts and materials, which may follow "in" like a colour.
CLOTHES = word_set(
    "clothes clothing cloth clothe shirt t-shirt tshirt tee sweatshirt sweater pullover hoodie jumper blouse vest "
    "coat overcoat raincoat jacket blazer suit tuxedo uniform dress gown robe skirt kilt pants trousers jeans shorts "
    "leggings overalls jumpsuit pajamas pyjamas swimsuit bikini wetsuit swimwear sportswear underwear bra panties "
    "armor armour costume outfit cape cloak scarf shawl tie bow-tie belt glove gloves sock socks shoes shoe boots "
    "sandals sneakers heels hat cap helmet hood headscarf turban crown veil mask glasses sunglasses goggles apron "
    "diaper sleeve sleeves sleeved collar jersey kimono sari cardigan windbreaker camouflage headdress garment attire "
    "top tops tank bathrobe nightgown necklace earrings headphones backpack backpacks hairband headband fur silk"
)
# Persons. After "with" they are company, not an attribute: "the man with a child".
PERSONS = word_set(
    "man woman child person boy girl lady gentleman guy adult baby kid toddler infant teenager youth elder mother "
    "father mom mum dad parent son daughter brother sister wife husband grandmother grandfather grandma grandpa aunt "
    "uncle cousin friend couple bride groom policeman policewoman officer soldier doctor nurse teacher student pupil "
    "waiter waitress chef cook driver rider cyclist player singer dancer musician guitarist drummer pianist skier "
    "skater surfer swimmer athlete runner referee coach worker farmer fisherman clerk boss host guest king queen "
    "prince princess priest monk nun thief robber prisoner guard pedestrian audience crowd family group team class "
    "individual human figure performer artist photographer reporter bartender barber lawyer judge sailor pilot clown "
    "magician cowboy warrior knight general captain secretary assistant stranger customer patient people one men "
    "women children wives"
)
# Those that tell the sex.
MALE = word_set(
    "man boy gentleman guy father dad son brother husband grandfather grandpa uncle groom policeman waiter king prince "
    "priest monk fisherman cowboy male"
)
FEMALE = word_set(
    "woman girl lady mother mom mum daughter sister wife grandmother grandma aunt bride policewoman waitress queen "
    "princess nun female"
)
ANIMALS = word_set(
    "dog puppy cat kitten horse pony cow cattle bull calf sheep goat lamb pig piglet chicken hen rooster duck "
    "duckling goose swan bird parrot pigeon eagle owl penguin fish shark whale dolphin turtle tortoise snake lizard "
    "crocodile frog rabbit hamster rat mouse squirrel fox wolf bear panda lion lioness tiger leopard elephant giraffe "
    "zebra camel donkey mule deer kangaroo koala monkey ape gorilla hippo rhino insect bee butterfly spider ant crab "
    "lobster snail animal pet beast creature raccoon hedgehog otter seal"
)
THINGS = word_set(
    "row line ball football basketball volleyball baseball toy doll teddy balloon kite frisbee car bus truck van taxi "
    "train tram bicycle bike motorcycle motorbike scooter skateboard snowboard surfboard ski sled sledge boat ship "
    "canoe kayak watercraft raft aircraft plane airplane helicopter wheelchair stroller carriage cart pram walker "
    "wagon tractor table desk chair stool sofa couch bench bed seat shelf cabinet drawer door window wall floor "
    "ceiling roof carpet rug curtain blanket pillow cushion lamp fan clock mirror picture painting photo frame screen "
    "monitor television tv laptop computer keyboard phone cellphone telephone mobile camera microphone radio speaker "
    "remote tablet book newspaper magazine paper letter envelope card pen pencil brush scissors knife fork spoon "
    "chopsticks bowl dish plate cup mug glass bottle can jar pot pan kettle teapot basket bucket box bag handbag "
    "suitcase luggage purse wallet umbrella cane stick rope chain key lock hammer axe shovel broom mop gun rifle "
    "pistol sword bow arrow bat racket paddle oar net goal flag sign guitar violin piano drum flute trumpet saxophone "
    "cello instrument harp food fruit fruits vegetable vegetables apple banana strawberry grape lemon watermelon "
    "bread cake pizza sandwich burger egg meat rice noodle noodles candy cookie chocolate cigarette cigar pipe "
    "lighter candle fire flower bouquet tree plant grass leaf branch stone rock sand snow ice water wine beer coffee "
    "tea milk juice house building room kitchen bathroom bedroom stage road street river lake sea beach field yard "
    "park sink faucet toilet bathtub refrigerator fridge microwave oven stove dryer ring swing slide ladder stairs "
    "fence gate bridge tent cage crib cradle pool stop light hair beard mustache moustache hand arm leg foot feet "
    "head face eye eyes nose mouth ear finger shoulder back tail wing body ponytail braid bun tattoo object thing "
    "item shape circle square triangle rectangle cube dot disc star sports sport robot vehicle machine cell wheel "
    "board tool pair piece side corner end wedding swimming watch drink snack medicine towel tissue napkin cloth "
    "trolley hose cap"
)
NOUNS = CLOTHES | PERSONS | ANIMALS | THINGS
# Irregular plurals and their singular.
PLURALS = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "wives": "wife",
    "feet": "foot",
    "teeth": "tooth",
    "mice": "mouse",
    "geese": "goose",
    "wolves": "wolf",
    "knives": "knife",
    "leaves": "leaf",
    "shelves": "shelf",
    "calves": "calf",
    "police": "officer",
}
# Parts of a picture: "the man on the far left".
PLACES = word_set("left right middle center centre back front side rear top bottom foreground background far")
# Plurals that stand before another noun: "the sports car".
MODIFYING_PLURALS = word_set("sports clothes")
VERBS = word_set(
    "accompany adjust aim answer appear approach argue arrange arrive ask attack back bark bathe beat become beckon "
    "begin bend bite blow bow break bring brush bump burn button buy call caress carry catch change chase check chew "
    "clap clasp clean clear climb close collect comb come comfort continue control cook cover crawl cross crouch cry "
    "cuddle cut dance dig dip disappear discuss dive draw drag dress drink drive drop dry eat embrace emerge enter "
    "escape examine exit explain extend face fall fasten feed feel fight fill finish fix flip float fly fold follow "
    "gallop gather gaze gesture get give glance go grab grasp greet grip grow guide hand hang happen hear help hide "
    "hit hold hop hug hurry ignore insert inspect introduce iron jog join jump keep kick kill kiss kneel knock know "
    "land laugh lay lead lean leap leave let lick lie lift light listen load lock look lose lower make march massage "
    "measure meet mix move nod notice nudge observe offer open operate order paddle paint park pass pat pause pay "
    "peel perform pet pick pinch place play point poke pose pour practice practise pray prepare press pretend prod "
    "pull punch push put raise reach read receive release remove repair rest retreat return ride ring rise roll "
    "rotate row rub run rush salute save say scold scratch scream search see sell send serve set sew shake share "
    "shave shoot shop shout shove shovel show shrug shut sigh sing sip sit skate ski sleep slap slice slide slip "
    "smell smile smoke sneak sniff snuggle speak spin spit splash spray spread squat squeeze stab stack stand stare "
    "start stay steal step stir stop straighten stretch stroke struggle stroll strike stumble sway sweep swim swing "
    "switch take talk tap taste teach tear tell think threaten throw tickle tie tilt touch toss tow trot try tug turn "
    "twist type unlock untie use vanish wag wait wake walk wander want warm wash watch wave wear weep whip whisper "
    "wink wipe work wrap wrestle write yawn yell guard fish film phone fire box host coach bounce swallow pack unpack "
    "saw sketch"
)
# Further verbs, mostly of sports and accidents, that are never attribute labels.
ACTIONS = VERBS | word_set(
    "accelerate applaud brake celebrate collapse crash dive dribble dunk explode juggle overtake score skid somersault "
    "sprint tackle topple volley bake boil chop dice fry golf hunt knead surf"
)
# Words that are nouns far more often than verbs: read as verbs only after a person, "the boy bikes".
NOUN_VERBS = word_set(
    "bat bike bowl drum fan golf hammer head judge pilot pitch referee sail skateboard snowboard surf train umpire"
)
# Past forms and participles.
IRREGULAR_PASTS = word_set(
    "ate beat been began begun bent bit bitten blew blown bought broke broken brought built came caught chose chosen "
    "cut drank drawn drew driven drove drunk dug fallen fed fell felt flew flown fought found froze frozen gave given "
    "gone got gotten grew ground grown held hid hidden hit hung hurt kept knelt knew known laid lain lay leant leapt "
    "led left lent let lit lost made met paid put ran rang read ridden rode rose run said sang sat saw seen sent set "
    "shaken shook shot shown shut slept slid sold spoke spoken spun stole stolen stood struck stuck sung swam swept "
    "swung taken taught threw thrown told took torn tore went woke won wore worn wound woven written wrote"
)


def _third_person(verb: str) -> str:
    if verb.endswith(("s", "x", "z", "ch", "sh", "o")):
        return verb + "es"
    return verb[:-1] + "ies" if re.search(r"[^aeiou]y$", verb) else verb + "s"


def _with_ending(verb: str, ending: str) -> str:
    """The verb with "ing" or "ed", its final letter dropped, doubled or changed as English spells it."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying" if ending == "ing" else verb + "d"
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + ending
    if ending == "ed" and re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    if re.search(r"^[^aeiou]*[aeiou][bdgklmnprt]$", verb) and not verb.endswith("k"):
        return verb + verb[-1] + ending
    return verb + ending


# Forms of `ACTIONS`: "watches", "watching", "watched".
THIRD = frozenset(map(_third_person, ACTIONS))
ING = frozenset(_with_ending(v, "ing") for v in ACTIONS)
NOUN_VERBS_THIRD = frozenset(map(_third_person, NOUN_VERBS))
PAST = frozenset(_with_ending(v, "ed") for v in ACTIONS) | IRREGULAR_PASTS
