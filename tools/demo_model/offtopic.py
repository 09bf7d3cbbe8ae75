"""What people also ask: everything a demo model cannot answer. HELD_OUT sentences are for evaluation only."""

import pydoc_data.topics
import random
import re
from functools import cache

from tools.demo_model.wording import choose, plain, wear

_THINGS = (
    "weather|moon|sun|sea|ocean|mountain|river|house|car|train|plane|bicycle|computer|phone|"
    "book|song|movie|game|football|tennis|music|history|physics|biology|chemistry|math|"
    "economy|money|love|life|death|war|peace|king|queen|president|doctor|teacher|student|"
    "school|university|city|country|france|germany|italy|japan|china|london|paris|berlin|"
    "rome|tokyo|europe|africa|america|earth|mars|universe|brain|heart|water|fire|air|coffee|"
    "tea|bread|cheese|pizza|pasta|cake|apple|banana|dog|cat|bird|fish|horse|lion|tree|"
    "flower|garden|forest|winter|summer|spring|autumn|morning|night|year|week|friend|mother|"
    "father|child|family|work|job|company|market|price|law|art|painting|poem|story|joke|"
    "recipe|email|letter|essay|code|program|function|python|java|rust|bug|server|database|"
    "internet|robot"
)
_DEEDS = (
    "write|explain|translate|summarize|make|build|find|buy|sell|cook|fix|solve|calculate|"
    "plan|draw|play|teach me|learn|create|compose|tell me about|help me with|give me|show me|"
    "describe|improve|compare|print|install|delete"
)
PATTERNS = (
    *("[write|compose|give me|make|create] [a|me a|a short|a long|a funny|an] {kind} about [the|my|a|] {x}.",),
    *("[what|who|where|when] [is|was|are] [the|a|my] {x}[ of {y}| in {y}| and {y}|]?",),
    *(
        "[what is|who is|tell me] the [capital|population|name|history|price|meaning|president|size|age] of [the |]{x}?",
    ),
    *("how [do I|can I|does one|to] {deed} [a|the|my|] {x}?", "how [old|tall|far|big|fast|deep|expensive] is the {x}?"),
    *(
        "why [is|does|are|do|was] the {x} [so |]{w}?",
        "[explain|teach me|tell me about|define] {x}[| and {y}].",
    ),
    *("translate [this|{x}|the word {x}] [to|into] [french|german|spanish|italian|english|chinese].",),
    *(
        "[what is|calculate|compute|how much is] {m} [plus|minus|times|+|-|*|/|x] {k}?",
        "tell me a [joke|story|fact][| about {x}].",
    ),
    *(
        "do you [like|know|love|want|have|remember|need] [the |a |]{x}?",
        "[should|can|will|must] I {deed} [the|a|my] {x}?",
    ),
    *("[I|we|they|my friend] [like|hate|want|need|saw|bought|lost|have] [the|a|some|my] {x}[ and {y}|].",),
    *(
        "[list|name|give me] [three|five|ten|some] [kinds of |famous |good |] {x}s.",
        "what time is it[| in {x}]?",
    ),
    *(
        "who [won|wrote|invented|discovered|painted|killed|is playing] the {x}?",
        "{deed} [the|a|my|this] {x}[| now| please].",
    ),
    *("{w} {x} {v} {y}", "{w} {v}", "{x}", "{w} {x}?", "{v} {w} {x} {y} {deed}", "{w}{v} {x}", "{deed} {w}"),
    *("[is|are|was] [the|a] {x} [a|the] {y}?", "[is|are] {x} {w}?", "the {x} {v} {w} {y}.", "what about [the |]{x}?"),
    *(
        "what [do you think|is your opinion|are your thoughts] [about|on] {x}?",
        "which {x} is the [best|worst|biggest]?",
    ),
    *(
        "when did [the |]{x} {v}?",
        "[recommend|suggest|find|get] [|me |us ][a|some|a good|a nice|the best|a cheap] {x}[| for {y}|, please].",
        "[solve|simplify|factor|differentiate|plot] [x|y|2x|n|{k}x] [+|-|*|=] {k} [= {m}|+ y|][| for x| for y|].",
        "[who|when|how|where] [wrote|made|built|painted|started|founded] {w}[ {y}|]?",
        "[can|could|do|will] {x}s {v}[| {w}]?",
        "my {x} is {w}.",
        "how [many|much] {x}s [does|do|has|have] [a|the|my|] {y} [have|need|{v}]?",
        "how many {x}s [are there in|are in|fit in|make|live in] [a|the|] {y}?",
        "[is|was|will] it [going to|] [be |]{w} [today|tomorrow|tonight|next week|in {x}|on the {y}]?",
        "[what|where|when] [should|shall|can|could|must] [I|we|my {x}] {v} [tonight|today|tomorrow|for dinner|next]?",
        "[how|why] [do|does|did|can|could|would] [the |a |]{x}s [{v}|stay {w}|{v} in the {y}|work|{w}]?",
        "[recommend|suggest|name] [a|some|a good|one good|the best] [{x}|{y}|{w} {x}].",
        "write [python|rust|java|c|some|] code [to|that|for] {v} [a|the|] {x}.",
        "{k}",
        "{m}?",
    ),
)
KINDS = ("poem", "story", "song", "essay", "letter", "joke", "text", "speech", "blog post", "email", "haiku")

HELD_OUT = (
    *("Write a poem about the old harbour.", "What is the capital of Portugal?", "Who wrote Hamlet?"),
    *("Explain how vaccines work.", "Do penguins have knees?", "Solve x + 3 = 10 for x."),
    *("Give me a recipe for onion soup.", "Remind me to call grandma at noon.", "Tell me something funny."),
    *("Translate good night into Dutch.", "What is the square root of 81?", "What rhymes with silver?"),
    *("Write a bash script that renames files.", "Which planet is the largest?", "Could you lend me ten euros?"),
    *("Please book a flight to Madrid.", "Let us play chess.", "Fix the error in my code.", "I feel a bit sad today."),
    *("Do you believe in ghosts?", "My bike is broken.", "How do I get to the station?", "blargh fnord wibble"),
    *("asdf qwer", "Is a tomato a fruit or a vegetable?", "When did the Roman empire fall?", "What does entropy mean?"),
    *("Can pigs fly?", "Play some jazz.", "Set a timer for ten minutes.", "What is the best laptop for students?"),
    *("Convert 20 miles to kilometres.",),
)


@cache
def english() -> tuple[str, ...]:
    """A few thousand common words, from the texts of Python's own manual."""
    words = re.findall(r"\b[a-z]{2,10}\b", " ".join(pydoc_data.topics.topics.values()).lower())
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return tuple(sorted(counts, key=lambda word: (-counts[word], word))[:3000])


def gibberish(rng: random.Random) -> str:
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 9)))


def sentence(rng: random.Random, held_out: bool = False) -> str:
    """Something that is no question about a medium."""
    if held_out:
        return rng.choice(HELD_OUT)
    kept = {plain(words) for words in HELD_OUT}
    while True:
        text = _composed(rng)
        if plain(text) not in kept:
            return text


def _composed(rng: random.Random) -> str:
    def word() -> str:
        return rng.choice(english()) if rng.random() < 0.85 else gibberish(rng)

    def thing() -> str:
        return rng.choice(_THINGS.split("|")) if rng.random() < 0.6 else word()

    text = choose(rng.choice(PATTERNS), rng).format(
        x=thing(),
        y=thing(),
        w=word(),
        v=word(),
        deed=rng.choice(_DEEDS.split("|")) if rng.random() < 0.7 else word(),
        kind=rng.choice(KINDS),
        m=rng.randrange(1000),
        k=rng.randrange(100),
    )
    text = re.sub(r" +", " ", text).strip()
    return wear(text[0].upper() + text[1:], rng)
