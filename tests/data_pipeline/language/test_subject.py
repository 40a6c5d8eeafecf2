import random

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.language.subject import MAX_WORDS, find_subject

SENTENCES = {
    # one clause, the subject first
    "The man in the dark jacket walks to the door and stops.": "The man in the dark jacket",
    "The bald man in black clothes turns around and leaves.": "The bald man in black clothes",
    "The woman with long hair who is sitting on the bed stands up.": "The woman with long hair",
    "The long-haired girl in the red sweater looks back at the boy.": "The long-haired girl",
    "The man wearing a black hat takes the cup.": "The man wearing a black hat",
    "The man dressed in black runs.": "The man dressed in black",
    "The woman in the middle turns her head.": "The woman in the middle",
    "The man in the middle of the road falls.": "The man",
    "The child on the left watches the child on the right.": "The child on the left",
    "The man in the front row claps.": "The man",
    "The man in the car waves.": "The man",
    "The man with the woman laughs.": "The man",
    "The man with his hands in his pockets walks off.": "The man",
    "The man opposite the woman stands up.": "The man",
    "The opposite man stands up.": "The opposite man",
    "The old man with white hair and a cane walks slowly.": "The old man with white hair",
    "The man in military uniform salutes.": "The man in military uniform",
    "THE MAN IN BLACK WALKS.": "THE MAN IN BLACK",
    "The tall, thin man puts on his hat.": "The tall thin man",
    "A black and white dog bites a toy.": "A black and white dog",
    "A dog white and brown lies on the ground.": "A dog white and brown",
    "An extremely tall basketball player jumps.": "An extremely tall basketball player",
    # a noun or a verb?
    "The man watches the girl.": "The man",
    "The child with glasses watches another child.": "The child with glasses",
    "The baby seat is behind the table.": "The baby seat",
    "The stop sign falls.": "The stop sign",
    "The guard guards the gate.": "The guard",
    "The nurse dresses the wound.": "The nurse",
    "The children play in the yard.": "The children",
    "The elderly sit on the bench.": "The elderly",
    "The painting hangs on the wall.": "The painting",
    "The seated man nods.": "The seated man",
    "The man seated by the window nods.": "The man",
    "The zorbist glorps the wuzzle.": "The zorbist",
    # possessives, quantities, coordination, no determiner, pronouns
    "Her dog runs away.": "Her dog",
    "The woman's dog runs away.": "The woman's dog",
    "The man’s dog runs away.": "The man’s dog",
    "One of the men stands up.": "One of the men",
    "A group of people dances on the stage.": "A group of people",
    "The man and the woman shake hands.": "The man and the woman",
    "A man in red and a woman in blue dance.": "A man in red",
    "Man in red runs.": "Man in red",
    "Harry Potter waves his wand.": "Harry Potter",
    "He walks to the window.": "He",
    # something before the subject
    "There is a white dog chased by two kids.": "a white dog",
    "There's a cat on the sofa.": "a cat",
    "There seem to be two dogs running.": "two dogs",
    "In the kitchen, a woman in red is cooking.": "a woman in red",
    "In the kitchen a woman is cooking.": "a woman",
    "Behind the sofa sits a black cat.": "a black cat",
    "Next to the table, a dog barks.": "a dog",
    "On the left of the table there is a cup.": "a cup",
    "Suddenly, the girl gets up and is caught by the man.": "the girl",
    "And then the woman leaves.": "the woman",
    "After the door opens, the old man walks in.": "the old man",
    "When the man opens the door the woman walks in.": "the woman",
    "Holding a cup, the woman in white turns around.": "the woman in white",
    "Seated at the desk, the judge reads a letter.": "the judge",
    "The video shows a man riding a horse.": "a man",
    "Please find the girl who throws a ball.": "the girl",
    "We can see a man playing guitar.": "a man",
    '"The man, wearing a hat, walks."': "The man",
    # questions
    "what is beneath the adult?": "what",
    "who holds the child?": "who",
    "What's behind the dog?": "What",
    "which animal chases the cat?": "which animal",
    "what animal is behind the fence?": "what animal",
    "Which of the dogs bites the toy?": "Which of the dogs",
    "Where is the red car?": "the red car",
    # the moment or the scene before the subject
    "find the moment the goalkeeper catches the ball": "the goalkeeper",
    "Find the moment when the goalkeeper catches the ball.": "the goalkeeper",
    "find the moment that the goalkeeper catches the ball": "the goalkeeper",
    "find the exact moment right before the dog jumps": "the dog",
    "find the moment player 7 shoots": "player 7",
    "find the time when number 23 dunks": "number 23",
    "locate the scene where the child falls": "the child",
    "show me the part where she cries": "she",
    "find the scene in which a woman sings": "a woman",
    "A video of a man riding a horse": "a man",
    "The part where someone opens the door": "someone",
    "show me when the dog jumps": "the dog",
    "find where the ball bounces": "the ball",
    "tell me who opens the door": "who",
    "at which point does the player score?": "the player",
    "when does the child fall?": "the child",
    "how many times does the dog jump": "the dog",
    "could you please show me the dog?": "the dog",
    "I want to see the dog that jumps": "the dog",
    "We are looking for a woman in a blue dress": "a woman in a blue dress",
    "find moments when the dog runs": "the dog",
    "find all the parts of this clip where the chef stirs": "the chef",
    "please find the moment in the video when the cat sneezes": "the cat",
    "find scenes in which two men fight": "two men",
    "the moment in the video is funny": "the moment",
    "two shots are fired by the man": "two shots",
    "find the woman the man kisses": "the woman",
    "find the part of the car that is red": "the part of the car",
    "the moment passes": "the moment",
    "the time is shown on the clock": "the time",
    "a time machine lands": "a time machine",
    "the second man falls": "the second man",
    # numbers
    "number 23 dunks": "number 23",
    "number 23 in white dunks": "number 23 in white",
    "Number seven shoots the ball": "Number seven",
    "runner number two falls": "runner number two",
    "No. 10 scores a goal": "No. 10",
    "#10 scores": "#10",
    "player 7 shoots": "player 7",
    "Player number 7 shoots the ball": "Player number 7",
    "player #7 shoots the ball": "player #7",
    "the player with number 23 dunks": "the player with number 23",
    "The #23 player dunks": "The #23 player",
    "2 men shake hands": "2 men",
    # pronouns for a noun
    "the one holding the microphone": "the one",
    "the one wearing a hat": "the one wearing a hat",
    "the one in red jumps": "the one in red",
    "the one that barks": "the one",
    "the only one dancing": "the only one",
    "the other one leaves": "the other one",
    "no one moves": "no one",
    "one holding a cup walks": "one",
    "one white dog barks": "one white dog",
    "the one man who stays": "the one man",
    "someone opens the door": "someone",
    "the first to arrive": "the first",
    "those who dance": "those",
    "those dancing on the stage": "those",
    "these dancing children": "these dancing children",
    "these two play chess": "these two",
    "two men shake hands": "two men",
    # hyphens, spaces, quotes and letters of other kinds
    "The long\u2011haired girl looks back": "The long-haired girl",
    "The long\u2010haired girl looks back": "The long-haired girl",
    "The long\u2013haired girl looks back": "The long-haired girl",
    "The long\u2212haired girl looks back": "The long-haired girl",
    "the red square \u2013 goes left": "the red square",
    "the man\u2014tall and thin\u2014walks": "the man",
    "The\u00a0man\u2009in\u3000red\u2028runs": "The man in red",
    "\ufeffThe m\u200ban in\u200b re\u00add \u202aruns\u202c": "The man in red",
    "\uff34\uff48\uff45 \uff4d\uff41\uff4e in red runs": "The man in red",
    "the \ufb01sh swims": "the fish",
    "The cafe\u0301 owner waves": "The caf\u00e9 owner",
    "The man\u02bcs dog runs": "The man's dog",
    "The man\uff07s dog runs": "The man's dog",
    "\u201cThe man in red\u201d runs": "The man in red",
    "\u2018The man\u2019 runs": "The man",
    "What\u02bcs behind the dog?": "What",
    "The players\u2019 coach yells": "The players\u2019 coach",
    # no subject at all
    "walks to the door": "the door",
    "running": "running",
    "一个男人在跑": "一个男人在跑",
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_phrase(sentence):
    assert find_subject(sentence) == SENTENCES[sentence]


@pytest.mark.parametrize("sentence", ["", "   ", "...", "?!", " - "])
def test_sentence_without_words(sentence):
    with pytest.raises(InputError, match="no words"):
        find_subject(sentence)


@pytest.mark.parametrize("sentence", ["the \ud83d man", "the man\udcff"])
def test_half_a_character_is_refused(sentence):
    with pytest.raises(InputError, match=r"the sentence '.*\\ud.*' holds half of a character"):
        find_subject(sentence)


def test_long_noun_phrase_keeps_its_noun():
    assert find_subject("a big old fat happy strong white dog runs.") == "a fat happy strong white dog"


def test_any_words_give_a_short_phrase_of_the_sentence():
    """Whatever the words and their order, the phrase has 1 to MAX_WORDS of them, in the sentence's order."""
    words = [
        "the",
        "a",
        "man",
        "dog",
        "in",
        "red",
        "and",
        ",",
        "of",
        "who",
        "is",
        "walks",
        "there",
        "with",
        "her",
        "'s",
    ]
    words += ["what", "holding", "next", "to", "while", ".", "man's", "one", "slowly", "find", "it", "left", "zorb"]
    generator = random.Random(0)
    for _ in range(3000):
        chosen = generator.choices(words, k=generator.randint(1, 12))
        sentence = " ".join(chosen)
        if not any(w[0].isalnum() for w in chosen):
            continue
        phrase = find_subject(sentence)
        assert 1 <= len(phrase.split()) <= MAX_WORDS
        rest = iter(sentence.replace("'s", " 's s").split())
        assert all(word in rest for word in phrase.split() if word != "man's"), (sentence, phrase)
        assert find_subject(sentence) == phrase
