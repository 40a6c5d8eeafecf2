import pytest

from stvg_jax.data_pipeline.language.identification import _other_languages, foreign_warning, is_english
from tests.data_pipeline.language.test_subject import SENTENCES

FOREIGN = """
el hombre de la camisa roja abre la puerta
un perro corre
der Hund bellt
der rote Kreis
das rote Quadrat, das nach links geht
ein Mann in einer roten Jacke geht zur Tür
le carré rouge
l'homme en rouge s'assoit sur la chaise
un uomo in rosso apre la porta
o homem de vermelho abre a porta
de man in het rood loopt naar de deur
mannen i den röda tröjan går till dörren
mies punaisessa avaa oven
mężczyzna w czerwonej koszuli otwiera drzwi
kırmızılı adam kapıyı açıyor
người đàn ông mặc áo đỏ mở cửa
seorang pria berbaju merah membuka pintu
穿红衣服的男人打开门
赤い服の男がドアを開ける
빨간 옷을 입은 남자가 문을 연다
мужчина в красном открывает дверь
الرجل ذو القميص الأحمر يفتح الباب
लाल कमीज वाला आदमी दरवाज़ा खोलता है
ο άντρας με τα κόκκινα ανοίγει την πόρτα
niña salta
Mann öffnet Tür
the 男人 in 红色 walks to 门口
Mann rennt
Frau lacht
MANN RENNT
zwei Kinder spielen
perro ladra
mujer baila
el hombre corre
l'homme court
chien aboie
deux chiens jouent
uomo corre
la donna canta
homem corre
menino chora
de man loopt
vrouw danst
hunden skäller
manden løber
jenta synger
koira haukkuu
pies szczeka
pes štěká doma
adam koşuyor
femeia dansează
kutya ugat
pria berlari
con chó sủa
""".strip().splitlines()
ENGLISH = """
the red square that goes left
running
goal
number 23 dunks
LeBron James dunks
Messi dribbles past Ramos
goalkeeper saves penalty kick
the zorbist glorps the wuzzle
the café owner señor González greets waves
the man who says "la vida"
the mariachi sings La Bamba
a waiter serves a crème brûlée
Jean de la Fontaine reads a book
the man holding a 猫 sign
the ｍａｎ in ｒｅｄ runs
12 34
Two sumo wrestlers grapple
DJ scratches vinyl records
sous chef dices shallots
mechanic tightens lug nuts
gondolier steers gondola through Venice canals
El Capitan climber falls
a man in Paris
Jose runs
José waves
Pelé scores
Los Angeles skyline
La Boca dancer
De Bruyne passes
Hans Gruber falls
Da Vinci paints
Renault van
barista pours latte
llama spits
die rolls
man rent
teh man walks
the mna runs
womann dances
gril in red
sombrero man
""".strip().splitlines()


@pytest.mark.parametrize("sentence", FOREIGN)
def test_other_languages(sentence):
    assert not is_english(sentence)
    assert repr(sentence)[1:-1] in foreign_warning([sentence])


@pytest.mark.parametrize("sentence", [*ENGLISH, *(s for s in SENTENCES if "一" not in s)])
def test_english(sentence):
    assert is_english(sentence)
    assert foreign_warning([sentence]) is None


def test_long_sentences_take_little_time():
    """Of a hundred thousand words that nobody knows, and none of them twice."""
    assert not is_english(" ".join(f"zorb{chr(97 + k % 26)}{'x' * (k % 50)}" for k in range(100_000)))


def test_most_sentences_load_no_list_of_words():
    _other_languages.cache_clear()
    assert is_english("the man in the red jacket who holds a cup runs past the dog")
    assert _other_languages.cache_info().currsize == 0


def test_many_sentences_are_counted():
    assert foreign_warning([]) is None
    warning = foreign_warning([*ENGLISH, FOREIGN[0], FOREIGN[1]])
    assert warning.startswith(f"2 of {len(ENGLISH) + 2} sentences do not look like English, such as '{FOREIGN[0]}'")
    assert len(foreign_warning(["\x1b[31m" + "der Hund " * 10**5])) < 300
