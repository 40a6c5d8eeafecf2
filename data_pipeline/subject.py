"""Finding the phrase that names the target of a sentence, with a small grammar of English and no parser.

TA-STVG reads "subject + sentence"; the released annotations carry the subject, a video of one's own does not. The
grammar below covers the English of grounding queries (VidSTG, HC-STVG): one target, named early, in plain words.

    sentence   := opening* phrase rest
    opening    := adverb | conjunction | "there is" | "we see" | "the video shows" | "find" | auxiliary
                | preposition noun-phrase [","]          In the kitchen, ...  /  Behind the sofa sits ...
                | subordinator ... ","                    When the door opens, ...
                | participle ... ","                      Holding a cup, ...
    phrase     := "who" | ("what" | "which" | "whose") [noun-phrase] | pronoun
                | noun-phrase attribute* | noun-phrase "and" noun-phrase
    noun-phrase:= determiner* modifier* noun+ colour*     modifiers: adjectives, participles, adverbs, possessives
    attribute  := "in" (colour | clothing) | ("wearing" | "dressed in") noun-phrase | "with" noun-phrase
                | "of" noun-phrase | "on the left" and its like

An attribute or a second noun is taken whole or left out, so that the phrase has at most `MAX_WORDS` words; relative
clauses, other participles ("a dog chased by ...") and places ("the man in the car") never belong to it.

Whether a word after a noun is a verb ("the man watches") or one more noun ("the baby seat") is decided by lexicons of
common verbs and nouns, by number agreement, by what follows, and for unknown words by their endings.
"""

from __future__ import annotations

import functools
import re

from stvg_jax.errors import InputError

MAX_WORDS = 6


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_QUESTION = _words("who whom what which whose")
_PRONOUNS = _words(
    "i you he she it they we me him us them someone somebody everyone everybody anyone anybody something anything "
    "everything nobody nothing"
)
_POSSESSIVES = _words("my your his her its our their")
_NUMBERS = _words("one two three four five six seven eight nine ten several many few most")
_DETERMINERS = (
    _words("a an the this that these those another some any every each all both no other half")
    | _POSSESSIVES
    | _NUMBERS
)
_BE = _words("is are was were be been being am 's 're isn't aren't wasn't")
_AUXILIARIES = _BE | _words("has have had does do did can could will would shall should may might must doesn't don't")
_PLURAL_AUXILIARIES = _words("are were have do")
_RELATIVES = _words("who whom whose which that where when while as because if until so than to not")
_CONJUNCTIONS = _words("and or but nor then")
_PREPOSITIONS = _words(
    "in on at by with without of from into onto to towards toward above below beneath under underneath over behind "
    "beside besides between among amongst near inside outside through across along around against before after during "
    "off out up down past next opposite within upon away for about like via throughout despite except beyond amid "
    "alongside atop facing"
)
_SUBORDINATORS = _words("after before when while as once until till because if since although though whenever where")
_ADVERBS = _words(
    "then now first firstly next finally afterwards afterward later soon again also just still once there here "
    "meanwhile meantime suddenly always often never very quite so too almost together alone away back forward "
    "forwards backwards indoors outdoors upstairs downstairs home please originally already even only perhaps maybe "
    "today"
)
_PARTICLES = _words("up down out off over back away forward around")
_IMPERATIVES = _words("find show locate track detect spot ground localize localise identify give look search see watch")
_FOOTAGE = _words("video clip footage scene picture image shot film")
_SHOWING = _words("shows depicts features displays")
_EXISTING = _words("to seem seems appear exist exists live lives stand sit lie hang")
_COLOURS = _words(
    "black white red blue green yellow orange purple pink brown gray grey beige cyan khaki silver gold golden tan "
    "navy maroon turquoise violet teal crimson scarlet olive ivory cream magenta indigo mint lavender burgundy "
    "colorful colourful multicolored multicoloured striped plaid checkered dark light pale bright"
)
_ADJECTIVES = _COLOURS | _words(
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
_CLOTHES = _words(
    "clothes clothing cloth clothe shirt t-shirt tshirt tee sweatshirt sweater pullover hoodie jumper blouse vest "
    "coat overcoat raincoat jacket blazer suit tuxedo uniform dress gown robe skirt kilt pants trousers jeans shorts "
    "leggings overalls jumpsuit pajamas pyjamas swimsuit bikini wetsuit swimwear sportswear underwear bra panties "
    "armor armour costume outfit cape cloak scarf shawl tie bow-tie belt glove gloves sock socks shoes shoe boots "
    "sandals sneakers heels hat cap helmet hood headscarf turban crown veil mask glasses sunglasses goggles apron "
    "diaper sleeve sleeves sleeved collar jersey kimono sari cardigan windbreaker camouflage headdress garment attire "
    "top tops tank bathrobe nightgown necklace earrings headphones backpack backpacks hairband headband fur silk"
)
_PERSONS = _words(
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
_ANIMALS = _words(
    "dog puppy cat kitten horse pony cow cattle bull calf sheep goat lamb pig piglet chicken hen rooster duck "
    "duckling goose swan bird parrot pigeon eagle owl penguin fish shark whale dolphin turtle tortoise snake lizard "
    "crocodile frog rabbit hamster rat mouse squirrel fox wolf bear panda lion lioness tiger leopard elephant giraffe "
    "zebra camel donkey mule deer kangaroo koala monkey ape gorilla hippo rhino insect bee butterfly spider ant crab "
    "lobster snail animal pet beast creature raccoon hedgehog otter seal"
)
_THINGS = _words(
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
_NOUNS = _CLOTHES | _PERSONS | _ANIMALS | _THINGS
_PLURALS = {
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
_PLACES = _words("left right middle center centre back front side rear top bottom foreground background far")
_MODIFYING_PLURALS = _words("sports clothes")
_VERBS = _words(
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
_IRREGULAR_PASTS = _words(
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


_THIRD = frozenset(map(_third_person, _VERBS))
_ING = frozenset(_with_ending(v, "ing") for v in _VERBS)
_PAST = frozenset(_with_ending(v, "ed") for v in _VERBS) | _IRREGULAR_PASTS

_CONTRACTED_IS = re.compile(r"\b(what|who|which|there|here|where|it|that|he|she)['’]s\b", re.IGNORECASE)
_TOKEN = re.compile(r"\w+(?:['’/\-]\w+)*(?:['’](?=\s))?|[^\w\s]")


def find_subject(sentence: str) -> str:
    """The phrase that names the target of `sentence`: its words, in their order and case, `MAX_WORDS` at most.

    "There is a white dog chased by two kids." gives "a white dog", "In the hall, the woman in red sits down" gives
    "the woman in red", "Who holds the child?" gives "Who". A sentence the grammar cannot read gives its first noun
    phrase, or failing that its first words. The answer depends on nothing but the sentence.

    Raises:
        InputError: the sentence has no word in it.
    """
    tokens = _TOKEN.findall(_CONTRACTED_IS.sub(r"\1 is", sentence))
    if not any(_is_word(t) for t in tokens):
        raise InputError(f"The sentence {sentence!r} has no words; give one such as 'the man in red sits down'")
    t = [token.lower().replace("’", "'") for token in tokens]
    first = _skip_openings(t)
    last = _phrase_end(t, first)
    if last == first:
        first, last = _first_noun_phrase(t)
    return " ".join(_shorten(tokens[first:last], t[first:last]))


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"


def _at(t: list[str], i: int) -> str:
    return t[i] if 0 <= i < len(t) else "."


def _shorten(words: list[str], lower: list[str]) -> list[str]:
    """At most `MAX_WORDS` words: the determiner and the last ones, which hold the noun."""
    kept = [(w, l) for w, l in zip(words, lower, strict=True) if _is_word(w)]
    if len(kept) > MAX_WORDS:
        kept = [kept[0], *kept[1 - MAX_WORDS :]] if kept[0][1] in _DETERMINERS else kept[-MAX_WORDS:]
    return [w for w, _ in kept]


# ---- words ----


@functools.cache
def _singular(word: str) -> str:
    if word in _PLURALS:
        return _PLURALS[word]
    for ending, replacement in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(ending) and word[: -len(ending)] + replacement in _NOUNS:
            return word[: -len(ending)] + replacement
    return word


@functools.cache
def _is_noun(word: str) -> bool:
    known = word in _NOUNS or _singular(word) in _NOUNS
    return known or word.endswith(("man", "woman", "boy", "girl", "men", "women", "tion", "ness", "ist", "board"))


def _is_plural(word: str) -> bool:
    if word in _PLURALS:
        return True
    return word.endswith("s") and not word.endswith(("ss", "us")) and (word in _CLOTHES or _singular(word) != word)


def _is_possessive(word: str) -> bool:
    return word.endswith(("'s", "s'")) and len(word) > 2


def _is_participle(word: str) -> bool:
    if word in _ING or word in _PAST:
        return True
    return len(word) > 4 and word.endswith(("ing", "ed")) and not word.endswith("eed")


def _is_adverb(word: str) -> bool:
    return word in _ADVERBS or (len(word) > 4 and word.endswith("ly") and word not in _ADJECTIVES | _NOUNS)


def _is_adjective(word: str) -> bool:
    if word in _ADJECTIVES or word.isdigit():
        return True
    if "-" in word:
        parts = word.split("-")
        return all(p in _COLOURS for p in parts) or parts[-1] in ("haired", "aged", "sleeved", "eyed", "skinned", "old")
    return False


def _is_border(word: str) -> bool:
    """True for a word (or mark) that no noun phrase contains."""
    return (
        not _is_word(word)
        or word in _AUXILIARIES
        or word in _RELATIVES
        or word in _CONJUNCTIONS
        or word in _PRONOUNS
        or (word in _PREPOSITIONS and word != "opposite")
    )


def _starts_noun_phrase(t: list[str], i: int) -> bool:
    w = _at(t, i)
    if w in _DETERMINERS or _is_possessive(w):
        return True
    return not _is_border(w) and not _is_adverb(w) and (_is_noun(w) or _is_adjective(w))


def _leads_object(t: list[str], i: int) -> bool:
    """Whether what follows the word at `i` can follow a verb but hardly a noun: "watches the", "looks up"."""
    after = _at(t, i + 1)
    return after in _DETERMINERS or after in _PRONOUNS or after in _PARTICLES or _is_adverb(after)


def _is_verb_after_noun(t: list[str], i: int) -> bool:
    """Whether the word at `i`, which follows a noun, begins the predicate or a participle phrase."""
    before, w, after = _at(t, i - 1), t[i], _at(t, i + 1)
    leads_object = _leads_object(t, i)
    plural_before = _is_plural(before) and before not in _MODIFYING_PLURALS
    if w in _THIRD:
        return not _is_noun(w) or leads_object or not (plural_before or after in _PLURAL_AUXILIARIES)
    if w in _VERBS:
        return not _is_noun(w) or plural_before or leads_object
    if _is_participle(w):
        return not _is_noun(w) or leads_object
    if _is_noun(w):
        return leads_object and _is_plural(w) and not plural_before
    return leads_object or (w.endswith("s") and not w.endswith(("ss", "us")) and _is_noun(before))


# ---- phrases ----


def _noun_phrase_end(t: list[str], i: int) -> int:
    """One past the noun phrase that starts at `i`; `i` itself where none does."""
    j = i
    while _at(t, j) in _DETERMINERS and not (t[j] in ("that", "no") and _at(t, j + 1) in _AUXILIARIES):
        j += 1
    if j > i and _at(t, j) == "of" and _starts_noun_phrase(t, j + 1):
        return _noun_phrase_end(t, j + 1)  # "one of the men"
    determined, noun = j > i, False
    start = j
    while j < len(t) and _continues(t, j, j > start, determined, noun):
        if _is_possessive(t[j]):
            noun, determined, start = False, True, j + 1
        elif t[j] not in ("and", ",") and not _modifies(t, j):
            noun = True
        j += 1
    if j == start and determined and t[j - 1] not in _POSSESSIVES | {"a", "an", "the", "no", "every"}:
        return j  # "another", "both", "the other": determiners that stand alone
    return j if j > start else i


def _modifies(t: list[str], i: int) -> bool:
    """Whether the word at `i`, before any noun, is a modifier rather than the noun."""
    w = t[i]
    if _is_adjective(w) or _is_adverb(w):
        return True
    return _is_participle(w) and not (_is_noun(w) and _is_border(_at(t, i + 1)))


def _continues(t: list[str], j: int, begun: bool, determined: bool, noun: bool) -> bool:
    """Whether the word at `j` still belongs to a noun phrase that has (not) `begun`, has a determiner, has a noun."""
    w = t[j]
    if w in ("and", ",") and begun and not noun:
        return _is_adjective(_at(t, j + 1)) or (w == "," and _is_participle(_at(t, j + 1)))
    if w == "and":
        # "a dog white and brown"
        return _at(t, j - 1) in _COLOURS and _at(t, j + 1) in _COLOURS
    if _is_border(w) or (w in _DETERMINERS and w not in ("one", "other")):
        return False
    if noun:
        if w in _COLOURS:
            return True
        if _is_adverb(w) or (_is_adjective(w) and not _is_noun(w)):
            return False
        return not _is_verb_after_noun(t, j)
    if begun:
        verb = w in _THIRD or w in _IRREGULAR_PASTS
        bare_verb = w in _VERBS and not _starts_noun_phrase(t, j + 1) and not _is_noun(w)  # "the elderly sit on"
        return _is_adjective(w) or not (bare_verb or verb and (not _is_noun(w) or _leads_object(t, j)))
    return determined or not ((w in _THIRD or w in _VERBS) and not _is_noun(w) and not _is_adjective(w))


def _clothing_end(t: list[str], i: int) -> int:
    """One past "(the) dark red jacket", "black and white", "a hat" at `i`; `i` where no colour or garment is."""
    j, end, has_noun = i, i, False
    while _at(t, j) in _DETERMINERS:
        j += 1
    while j < len(t):
        w = t[j]
        garment = w in _CLOTHES or _singular(w) in _CLOTHES
        if garment and not (has_noun and w in _THIRD):
            end, has_noun = j + 1, True
        elif w in _COLOURS or (_is_adjective(w) and "-" in w):
            if has_noun and _at(t, j - 1) != "and":
                break
            end = j + 1
        elif w in ("and", ",") and end == j:
            after = _at(t, j + 1)
            if not (after in _COLOURS or after in _CLOTHES):
                break
        elif has_noun or not _leads_to_garment(t, j):
            break
        j += 1
    return end


def _leads_to_garment(t: list[str], j: int) -> bool:
    """Whether the word at `j` may stand before a garment that follows within two words ("school uniform")."""
    for k in range(j, min(j + 3, len(t))):
        if t[k] in _CLOTHES or _singular(t[k]) in _CLOTHES:
            return True
        if _is_border(t[k]) or t[k] in _THIRD or t[k] in _DETERMINERS:
            return False
    return False


def _place_end(t: list[str], i: int) -> int:
    """One past "the left (side)", "the far right" at `i`, unless a longer place follows ("the left of the sofa")."""
    j = i
    while _at(t, j) in ("the", "far", "very"):
        j += 1
    start = j
    while _at(t, j) in _PLACES:
        j += 1
    longer = _at(t, j) == "of" or (_is_noun(_at(t, j)) and t[j] not in _THIRD)  # "the front row"
    return j if start < j and start > i and not longer else i


def _attribute_end(t: list[str], i: int) -> int:
    """One past an attribute that starts at `i`; `i` where none does."""
    w = _at(t, i)
    if w in ("in", "on", "at", "from"):
        place = _place_end(t, i + 1)
        if place > i + 1:
            return place
    if w == "wearing" or (w in ("dressed", "clad", "clothed") and _at(t, i + 1) == "in"):
        return _after(i, i + (1 if w == "wearing" else 2), _noun_phrase_end, t)
    if w == "in":
        return _after(i, i + 1, _clothing_end, t)
    if w == "with" and _at(t, i + 1) not in _POSSESSIVES:
        end = _noun_phrase_end(t, i + 1)
        while _at(t, end) == "and" and _at(t, end + 1) not in _VERBS and _is_noun(_at(t, end + 1)):
            end += 2  # "with a beard and glasses"
        company = end > i + 1 and (_singular(t[end - 1]) in _PERSONS)
        return i if company or end == i + 1 else end
    if w == "of":
        return _after(i, i + 1, _noun_phrase_end, t)
    return i


def _after(i: int, start: int, find_end, t: list[str]) -> int:
    """`find_end` from `start`, or `i` where it finds nothing."""
    end = find_end(t, start)
    return end if end > start else i


def _phrase_end(t: list[str], i: int) -> int:
    """One past the target's phrase at `i`; `i` where no phrase starts."""
    w = _at(t, i)
    if w in _QUESTION:
        return _question_end(t, i)
    if w in _PRONOUNS:
        return i + 1
    end = _noun_phrase_end(t, i)
    if end == i:
        return i
    core = end
    while (longer := _attribute_end(t, end)) > end and longer - i <= MAX_WORDS:
        end = longer
    if end == core and _at(t, end) == "and" and _starts_noun_phrase(t, end + 1):
        second = _noun_phrase_end(t, end + 1)
        if second > end + 1 and second - i <= MAX_WORDS:
            return second
    return end


def _question_end(t: list[str], i: int) -> int:
    after = _at(t, i + 1)
    verb = after in _THIRD or (after in _VERBS and (not _is_noun(after) or _is_border(_at(t, i + 2))))
    if t[i] in ("who", "whom") or _is_adverb(after) or (t[i] == "what" and after in _DETERMINERS):
        return i + 1
    if after == "of" and t[i] == "which":
        return max(i + 1, _noun_phrase_end(t, i + 2))
    return i + 1 if verb else max(i + 1, _noun_phrase_end(t, i + 1))


# ---- what comes before the phrase ----


def _skip_openings(t: list[str]) -> int:
    """Where the phrase starts: past everything that a sentence may say before it names its subject."""
    i = 0
    while (j := _opening_end(t, i)) > i:
        i = j
    return i if i < len(t) else 0


def _opening_end(t: list[str], i: int) -> int:
    """One past the opening at `i`; `i` where the phrase itself begins."""
    w, after = _at(t, i), _at(t, i + 1)
    if i >= len(t) or w in _QUESTION:
        return i
    if not _is_word(w) or (w in _CONJUNCTIONS):
        return i + 1
    if w == "there" or w in ("here", "it", "this", "that", "these", "those") and after in _BE:
        return _existential_end(t, i)
    if w in ("how", "where", "why") and after in _AUXILIARIES | {"many", "much"}:
        return i + 2
    if w in _AUXILIARIES:
        return i + 1
    if w in ("i", "we", "you", "one") and _at(t, _past_verbs(t, i + 1)) in _DETERMINERS:
        return _past_verbs(t, i + 1)
    if w == "the" and after in _FOOTAGE and _at(t, i + 2) in _SHOWING:
        return i + 3
    if w in _IMPERATIVES and i == _leading_words(t):
        return _imperative_end(t, i)
    if w == "please":
        return i + 1
    if w in _SUBORDINATORS and (clause := _clause_end(t, i)) > i:
        return clause
    if w in _PREPOSITIONS and not (_is_adverb(w) and after in _DETERMINERS | {","}):
        return _fronted_place_end(t, i)
    if _is_participle(w) and not _is_noun(w) and (comma := _comma_end(t, i)) > i:
        return comma
    skippable = _is_adverb(w) and (_starts_noun_phrase(t, i + 1) or after in _QUESTION | _PRONOUNS or after == ",")
    return i + 1 if skippable else i


def _leading_words(t: list[str]) -> int:
    """Index of the first word that is not a mark or "please"."""
    return next((k for k, w in enumerate(t) if _is_word(w) and w != "please"), 0)


def _past_verbs(t: list[str], i: int) -> int:
    while i < len(t) and (t[i] in _AUXILIARIES or t[i] in _VERBS or t[i] in _IRREGULAR_PASTS or _is_adverb(t[i])):
        i += 1
    return i


def _existential_end(t: list[str], i: int) -> int:
    """Past "there is", "there seems to be", "here comes"; `i` where a plain "there" stands."""
    j = i + 1
    while _at(t, j) in _AUXILIARIES or _at(t, j) in _THIRD | _EXISTING or _is_adverb(_at(t, j)):
        j += 1
    return j


def _imperative_end(t: list[str], i: int) -> int:
    j = i + 1
    while _at(t, j) in ("me", "us", "out", "for", "at"):
        j += 1
    return j if _starts_noun_phrase(t, j) or _at(t, j) in _QUESTION else i


def _comma_end(t: list[str], i: int) -> int:
    """One past the first comma after `i` that a noun phrase, a pronoun or "there" follows; `i` without one."""
    for k in range(i + 1, len(t) - 1):
        if t[k] == "," and (_starts_noun_phrase(t, k + 1) or t[k + 1] in _PRONOUNS | {"there"}):
            return k + 1
    return i


def _clause_end(t: list[str], i: int) -> int:
    """One past a subordinate clause at `i`: its comma, or else where a second noun phrase meets a finite verb."""
    if (comma := _comma_end(t, i)) > i:
        return comma
    for k in range(_noun_phrase_end(t, i + 1) + 1, len(t)):
        if t[k] in _DETERMINERS | _PRONOUNS and _at(t, k - 1) not in _PREPOSITIONS:
            end = _phrase_end(t, k)
            if _at(t, end) in _THIRD | _AUXILIARIES:
                return k
    return i


def _fronted_place_end(t: list[str], i: int) -> int:
    """Past "in the kitchen (,)", "on the left of the sofa stands": a place, and the verb where it comes first."""
    j = i
    while _at(t, j) in _PREPOSITIONS:
        while _at(t, j) in _PREPOSITIONS or _at(t, j) in ("front", "top"):
            j += 1
        j = _noun_phrase_end(t, j)
        if _at(t, j) == "and" and _starts_noun_phrase(t, j + 1):
            j = _noun_phrase_end(t, j + 1)
    if _at(t, j) == ",":
        return j + 1
    if _at(t, j) in _DETERMINERS | _PRONOUNS | _QUESTION | {"there"}:
        return j
    verbs = j
    while _at(t, verbs) in _AUXILIARIES or _at(t, verbs) in _THIRD | _PAST | _ING:
        verbs += 1
    if verbs > j and _starts_noun_phrase(t, verbs):
        return verbs
    return _comma_end(t, i)


def _first_noun_phrase(t: list[str]) -> tuple[int, int]:
    """For a sentence without a subject ("walks to the door"): its first noun phrase, else its first words."""
    for i in range(len(t)):
        if t[i] in _DETERMINERS or (_is_noun(t[i]) and t[i] not in _THIRD | _VERBS):
            end = _noun_phrase_end(t, i)
            if end > i:
                return i, end
    words = [k for k, w in enumerate(t) if _is_word(w)][:MAX_WORDS]
    return words[0], words[-1] + 1
