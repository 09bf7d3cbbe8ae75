"""How people ask: patterns for every intent, how they are expanded and worn, and phrasings that training never sees.

``[a|b|]`` in a pattern is a choice, ``{name}`` is filled by the caller. HELD_OUT is only for evaluation: ``phrase``
never returns one of its sentences.
"""

import random
import re
from functools import cache

PIC = "[picture|image|photo|image|picture|drawing|photograph|graphic|screenshot|pic|img]"
SND = "[sound|audio|recording|audio clip|sound file|audio file|audio recording|track]"
VID = "[video|clip|video|video clip|footage|movie|animation|film|recording]"
CLAIM = (
    "[am I correct that|is it correct that|is it true that|can you confirm that|do you agree that|would you agree that|"
    "would you say|would you say that|do you think|do you think that|I think|I believe|I guess|I would say|tell me if|"
    "tell me whether|check if|check whether|is it right that|am I right to say that|am I right in thinking that|"
    "right or wrong:|true or false:|yes or no:|can you tell me if|I want to know if]"
)
WHATS = "[what is|what's|whats|what is|what was]"

GENERIC = [
    f"{WHATS} this[| here]?",
    "what [do|can|could] you [see|tell me|make out|notice|recognize|recognise|find][| here]?",
    "[describe|explain|summarize|summarise|caption|identify|analyze|analyse|interpret] [this|it|that|this file].",
    "describe.",
    "[what am I looking at|what do we have here|what is going on here|what is it|what's it]?",
    "[tell me about|talk about|give a description of|comment on|say something about|have a look at] [this|it|that].",
    "and [this|this one|that one|now|here]?",
    "[your thoughts|any idea what this is|what could this be|do you know what this is|guess what this is]?",
    "[give me|write|provide|I need|produce] a [short |brief |one sentence |quick |simple |]"
    "[description|summary|caption|overview][| of this].",
    "what [is|can be] [shown|seen|visible|depicted|displayed][| here]?",
    "[go ahead|what do you think|look at this|check this out|take a look|look|this|here you go|see attached].",
]

PATTERNS: dict[str, list[str]] = {
    "picture": [
        *GENERIC,
        f"{WHATS} [in|on|shown in|visible in|depicted in|displayed in] [this|the|that|my] {PIC}?",
        f"[describe|explain|caption|summarize|summarise|analyze|analyse|interpret|label|identify] [this|the|that|my] {PIC}.",
        f"what [does|did] [this|the|that] {PIC} [show|depict|contain|display|have in it]?",
        f"what [do|can|could] you [see|find|recognize|notice|make out|spot] [in|on] [this|the|that] {PIC}?",
        f"[tell me about|tell me what is in|tell me what's in|tell me what you see in|talk about] [this|the] {PIC}.",
        f"what [object|objects|thing|things|figure|items] [is|are|do you see|can you see] [in|on] [this|the] {PIC}?",
        f"[give me|write|provide|I want|make] a [short |brief |simple |one line |] "
        f"[caption|description|summary|title] [of|for] [this|the] {PIC}.",
        f"what [kind|type|sort] of {PIC} is [this|it]?",
        "[describe|tell me|say|explain] what you see[| here].",
        "what [thing|object] is [this|it|that]?",
        f"what is the {PIC} [about|of]?",
        f"what are we looking at[| in this {PIC}]?",
        f"[look at|see|here is|check|open] [this|the|my] {PIC}[. What is it|. What is there| and describe it| and tell me what it is]?",
        f"list [the objects|everything|what is] in [this|the] {PIC}.",
        f"is there anything in [this|the] {PIC}?",
    ],
    "detail": [
        "describe [this|the|it] in [full |great |more |]detail.",
        f"describe [this|the] {PIC} in [full |great |more |some |]detail.",
        "describe in [full |great |more |]detail what [is happening|you see|is there|is going on|is visible].",
        "[give|write|provide] [me |]a [very |]detailed [description|analysis|account|explanation][| of this| of the image| of this picture].",
        f"what is [in|shown in] [this|the] {PIC}? [write|give|provide] a detailed [response|answer|description] "
        "[analyzing|analysing|describing|explaining|about] the [scene|content|picture|image].",
        "explain in detail what you see.",
        f"[analyze|analyse|examine] [this|the] {PIC} in detail.",
        "be detailed: what do you see?",
        "[I want|I need|give me] [all|every|more] detail[|s][| please| about this].",
    ],
    "color": [
        "[what|which] color [is|was] [it|this|that|the {thing}|the thing|the object|the figure|the shape]?",
        "what is the color of [it|this|that|the {thing}|the object|the shape|the figure|the thing]?",
        "[name|tell me|say|give me|identify|guess] [the|its] color[| of the {thing}| of it| of this].",
        "[and |]what color?",
        "color[?|]",
        "what's [its|the] color?",
        "[what|which] color [does|did] [it|the {thing}|this] have?",
        "[what|which] color [do|can] you see?",
        "what is the [main|dominant] color?",
        "how is [it|the {thing}|the object] [colored|painted]?",
        "in [what|which] color is [it|the {thing}|this]?",
        "[which|what] color [is|was] used[| for the {thing}]?",
        "the {thing}, what color is it?",
        "the color of [it|the {thing}|this]?",
        "[do you know|tell me|can you see] what color [it|the {thing}|this] is?",
    ],
    "shape": [
        "[what|which] shape [is|was] [it|this|that|the object|the thing|the figure]?",
        "what is the shape[| of it| of this| of the object| of that]?",
        "[name|tell me|say|give me|identify|guess] [the|its] shape[| of this| of the object].",
        "[and |]what shape?",
        "shape[?|]",
        "what's [its|the] shape?",
        "[what|which] [kind|type|sort] of [shape|figure|form] is [it|this|that|there|shown]?",
        "[what|which] shape [do|can] you see?",
        f"[what|which] [shape|figure] is [in|on] [the|this] {PIC}?",
        "[what|which] [geometric |]figure is [this|it|that]?",
        "[what|which] form does it have?",
        "is it a circle, a square, a triangle or a star?",
        "[do you know|tell me|can you see] what shape [it|this] is?",
        "the {color} [thing|one|object], what shape is it?",
    ],
    "count": [
        "how many [are there|do you see|can you see|are shown|are visible|are they|in total]?",
        "how many [{things}|shapes|objects|figures|things|items|of them] [are there|do you see|can you see|are shown|are visible]?",
        f"how many [{{things}}|shapes|objects|figures|things] [are|do you see|can you see] in [the|this] {PIC}?",
        "[count|please count|try to count] [the {things}|the shapes|the objects|them|everything|the things].",
        "what is the number of [{things}|shapes|objects|things]?",
        "[and |]how many?",
        "number of [{things}|shapes|objects]?",
        "tell me how many [{things}|shapes|objects|there are|you see].",
        "[can you|could you] count [the {things}|them|the objects|the shapes]?",
        "what's the count[| of {things}]?",
        "how many [{things}|shapes]?",
    ],
    "where": [
        "where is [it|the {thing}|this|the object|the shape|the figure][| located| placed]?",
        f"where in [the|this] {PIC} is [it|the {{thing}}|the object]?",
        "[what|which] [position|place|location|part|corner|area|side] is [it|the {thing}] in?",
        f"in [what|which] [part|corner|area|region] of the {PIC} is [it|the {{thing}}|the object]?",
        "what is [its|the] [position|location|place][| of the {thing}]?",
        "[and |]where?",
        "[locate|find|point to|show me] [it|the {thing}|the object].",
        "where [do you see|can I find|can you find|did you see] [it|the {thing}|the object]?",
        "whereabouts is [it|the {thing}]?",
        "on [which|what] side is [it|the {thing}]?",
        "tell me [where|the position of|the place of] [it is|the {thing}|the {thing} is].",
        "the position of the {thing}?",
    ],
    "side": [
        "[what is|what's|what do you see|what can you see|which object is|which shape is|what figure is] {side}?",
        "[tell me|describe|name] [what is|what's|the thing|the object|the one] {side}.",
        "[and |]{side}?",
        "[what|which] [thing|item|one] is {side}[| of the picture| of the image]?",
        "what [is there|can be seen|do we have] {side}?",
        "[the one|the object|the thing] {side}, what is it?",
    ],
    "relation": [
        "[what is|what's|what do you see|which object is|which shape is|what figure is] {relation} the {thing}?",
        "[tell me|describe|name] [what is|the thing|the object|the shape] {relation} the {thing}.",
        "[and |]{relation} the {thing}?",
        "{relation} the {thing}, what is there?",
    ],
    "trend": [
        "is [the chart|it|the graph|the trend|this chart] [rising or falling|going up or down|falling or rising|increasing or decreasing|growing or shrinking]?",
        "what [is the|'s the|is its|kind of] trend[| of the chart| in this chart| of the graph]?",
        "what does [the|this] [chart|graph|bar chart|plot|diagram] [show|tell us|say|mean]?",
        "[describe|explain|summarize|read|interpret|analyze] [the|this] [chart|graph|bar chart|plot|diagram|trend].",
        "[do|are] the [values|bars|numbers] [rise or fall|go up or down|increase or decrease|rising or falling|going up or down]?",
        "[which|what] [way|direction] [do|does] the [bars|chart|values|graph] [go|move]?",
        "how [does|do] the [chart|bars|values|numbers|graph] [develop|change|behave]?",
        "what is happening [in|with] the [chart|graph|bars]?",
        "trend?",
    ],
    "read": [
        f"what does [it|the {PIC}|the sign|the text|this|the word] say?",
        f"[what|which] [word|text|number|letters|writing] [is|do you see|can you read|is written|is printed] [in|on] [this|the] {PIC}?",
        "[read|read out|spell|extract|recognize] [it|the text|the word|this|the number|what it says|the writing].",
        f"[what is|what's] [written|printed|the text|the word|the number|written there][| here| in the {PIC}| on it]?",
        "[what|which] [word|number|text] is [it|this|that|there|shown|here]?",
        "[can you|could you] read [it|this|the text|the word|that]?",
        "ocr[| this| please].",
        "what text is shown?",
        "[and |]what does it say?",
    ],
    "is_color": [
        f"{CLAIM} [it|this|the {{thing}}|the object|the shape] is {{color}}.",
        f"{CLAIM} [it|this|the {{thing}}|the object|the shape] is {{color}}.",
        "[does|did] [it|this|the {thing}|the object|that] [seem|appear|look] [to be |really |]{color}?",
        "[is|was] [this|that|the] [object|figure|shape|one] [of |]{color}[| color]?",
        "is {color} the [right |]color?",
        "is [it|this|that|the {thing}|the object|the shape] {color}?",
        "is the color[| of it| of the {thing}] {color}?",
        "[so |]it is {color}, [right|isn't it|correct|yes]?",
        "[would you say|do you think|can you confirm|is it true|is it right] [that |][it|the {thing}] is {color}?",
        "{color}?",
        "[does it have|do you see] {a_color} color?",
        "[are|is] [they|it|the {things}] [really |]{color}?",
        "it's {color}, or?",
    ],
    "is_shape": [
        f"{CLAIM} [it|this|the object|the figure|the shape] is {{a_shape}}.",
        f"{CLAIM} [it|this|the object|the figure|the shape] is {{a_shape}}.",
        "[does|did] [this|the object|the shape|that|the figure] [seem like|look like|have the form of|appear to be|seem to be] {a_shape}?",
        "is [this|that|the] [object|figure|shape|one] {a_shape}?",
        "is [it|this|that|the object|the figure|the thing] {a_shape}?",
        "is the shape {a_shape}?",
        "[so |]it is {a_shape}, [right|isn't it|correct|yes]?",
        "[would you say|do you think|can you confirm|is it true|is it right] [that |]it is {a_shape}?",
        "{a_shape}?",
        f"is [the|this] {PIC} of {{a_shape}}?",
        "is [there|that] {a_shape}?",
        "[do you see|can you see|does it show] {a_shape}?",
    ],
    "is_there": [
        f"{CLAIM} there is {{a_thing}}.",
        f"{CLAIM} [there is|you see|I see|we see|it shows|it is] {{a_thing}}.",
        "[can|could] [I|we|one|you] [see|find|spot|notice] {a_thing}[| here| there| anywhere]?",
        "is {a_thing} [shown|visible|present|there|in it|depicted|drawn|part of it|here]?",
        "has it got {a_thing}?",
        "is there {a_thing}[| here| in the picture| in this image| anywhere]?",
        "[do|can] you see {a_thing}[| here| in the picture| in this image]?",
        f"does [this|the] {PIC} [show|contain|have] {{a_thing}}?",
        "is [this|it|that] {a_thing}?",
        "{a_thing}?",
        "[would you say|do you think|is it true] [that |]there is {a_thing}?",
        f"is {{a_thing}} in [the|this] {PIC}?",
        "[so |]it is {a_thing}, [right|isn't it|correct|yes]?",
    ],
    "is_count": [
        f"{CLAIM} there are {{n}}[| {{things}}| of them].",
        f"{CLAIM} there are {{n}}[| {{things}}| of them].",
        "are [there |]exactly {n} {things} [visible|drawn|there|in it|here]?",
        "[do|can|could] [you|I|we] [count|find|see|spot] {n}[| {things}]?",
        "are {n} [{things}|objects|shapes|of them] [there|visible|drawn|here]?",
        "are there {n}[| {things}| of them| shapes| objects][| here| in the picture]?",
        "[do|can] you see {n} [{things}|shapes|objects|of them]?",
        "is the [number|count][| of {things}| of shapes] {n}?",
        "[so |]there are {n}, [right|correct|yes|aren't there]?",
        "[would you say|do you think|is it true] [that |]there are {n}[| {things}]?",
        f"does [this|the] {PIC} [show|contain|have] {{n}} {{things}}?",
        "{n}[| {things}]?",
    ],
    "is_at": [
        f"{CLAIM} [it|the {{thing}}|the object] is {{place}}.",
        f"{CLAIM} [it|the {{thing}}|the object] is {{place}}.",
        "is [it|the {thing}|the object|this] [placed|positioned|sitting|found|situated|to be found] {place}?",
        "is the [place|position|location] {place}?",
        "[can|do] [you|I|we] [find|see|spot] the {thing} {place}?",
        "is [it|the {thing}|the object|the shape] {place}?",
        "[so |]it is {place}, [right|correct|yes|isn't it]?",
        "[would you say|do you think|is it true] [that |][it|the {thing}] is {place}?",
        "can [it|the {thing}] be found {place}?",
        "do you see [it|the {thing}] {place}?",
    ],
    "is_trend": [
        f"{CLAIM} [it|the chart|the graph|the trend] is {{trend}}.",
        f"{CLAIM} [it|the chart|the graph|the trend] is {{trend}}.",
        "is [this|that] [bar chart|plot|diagram|trend|curve] {trend}?",
        "does [it|this|the chart|the graph] look {trend}?",
        "is [it|the chart|the graph|the trend|this chart] {trend}?",
        "[does|do] [the chart|the bars|the values|it] [go|goes] {trend_way}?",
        "are [the bars|the values|the numbers] {trend}?",
        "[so |]it is {trend}, [right|correct|yes]?",
        "[would you say|do you think|is it true] [that |][it|the chart] is {trend}?",
        "do [the bars|the values] get {trend_size}?",
    ],
    "says": [
        f"{CLAIM} [it|the sign|the text|the picture] says {{text}}.",
        'is ["{text}"|{text}] [the text|the printed word|the printed text|the number|there|printed|shown]?',
        f"{CLAIM} the [word|text] is {{text}}.",
        '[do|can] you [read|see] [the word |]["{text}"|{text}]?',
        "does it say {text}?",
        'does [the text|the sign|the word|it|the picture|the image] [say|read] "{text}"?',
        'is the [word|text|number] "{text}"?',
        "is it [the word|the number|] {text}?",
        'does it [say|read] "{text}"?',
        "[is|can] {text} [written there|what it says|printed there]?",
    ],
    "sound": [
        *GENERIC,
        f"what [do|can|could|did] you hear[| here| in this {SND}]?",
        f"{WHATS} [this|that|the] [sound|noise|audio|recording|audio clip]?",
        f"{WHATS} [in|on] [this|the|that|my] {SND}?",
        f"[describe|explain|summarize|summarise|analyze|analyse|identify|caption] [this|the|that|my] {SND}.",
        "describe what you hear.",
        "[what|which] [sound|noise|kind of sound|type of sound|sort of sound] [is|was] [this|that|it]?",
        "what does [this|it|that] sound like?",
        f"what [is happening|is going on|happens|can be heard|is there to hear] in [this|the] {SND}?",
        f"[tell me about|tell me what is in|tell me what's in|talk about] [this|the] {SND}.",
        "[listen|listen to this|have a listen|listen carefully][. What is it|. What do you hear|]?",
        f"what [does|did] [this|the] {SND} [contain|have in it]?",
        f"[give me|write|provide] a [short |brief |]description of [this|the] {SND}.",
        "[which|what] sounds [do you hear|are there|can you hear]?",
        "how does [it|this] sound?",
    ],
    "transcribe": [
        f"transcribe[| this| it| that| the {SND}| this {SND}| the speech| the words].",
        f"what [is|was] [said|spoken|being said][| here| in this {SND}| in the {SND}]?",
        f"what [does|did] the [voice|speaker|person|man|woman|robot] say[| in this {SND}]?",
        "what [do|did|does] [they|he|she|it] say?",
        "[what|which] [word|words|digits|numbers] [do you hear|is spoken|are spoken|can you hear|is said|are said|did you hear]?",
        "[write|type|note|put] down [what is said|the words|what you hear|the speech|every word].",
        "[what are|tell me|list|repeat|give me|say] the [words|spoken words|exact words].",
        f"[write|give me|make|create|I need|produce] a [transcript|transcription][| of this| of the {SND}| of it].",
        "[please |]convert [this|the] [speech|audio] to text.",
        "speech to text[| please].",
        "repeat [what you heard|after the speaker|what is said].",
    ],
    "beeps": [
        "how many [beeps|sounds|tones|signals|times does it beep|pips] [do you hear|are there|can you hear|were there|did you hear]?",
        "[count|please count] the [beeps|sounds|signals|tones].",
        "[what is the|tell me the] number of beeps.",
        "how [many|often] [beeps|times] [does it beep|do you hear|]?",
        "how many beeps?",
        f"how many beeps are in [this|the] {SND}?",
        "how often does it beep?",
    ],
    "pitch": [
        "is [the pitch|it|the tone|the sound|this sound|the beep] [low or high|high or low]?",
        "are the beeps [low or high|high or low]?",
        "[what is|what's|how is|how high is] [the|its] pitch?",
        "[what|which] pitch [is it|does it have|do you hear]?",
        "is it a [low or a high|high or a low|low or high] [tone|sound|pitch|beep]?",
        "how [high|low] is [it|the tone|the sound]?",
        "pitch?",
    ],
    "sweep": [
        "is [the tone|it|the pitch|the sound] [rising or falling|falling or rising|going up or down]?",
        "does [the pitch|it|the tone|the sound] [rise or fall|go up or down|increase or decrease]?",
        "[how|which way] does [the pitch|the tone|it] [change|move|go|develop]?",
        "what [happens to|does] the [pitch|tone][| do]?",
    ],
    "hear_what": [
        f"{CLAIM} [it|this] is {{a_noise}}.",
        f"{CLAIM} [there is|you hear|I hear|we hear] {{a_noise}}.",
        "[can|could] [you|I|we|one] hear {a_noise}?",
        "is {a_noise} [audible|in it|in there|to be heard here|what you hear]?",
        "[do|can|did] you hear {a_noise}?",
        f"is there {{a_noise}}[| in the {SND}| in this recording]?",
        "is [this|it|that] {a_noise}?",
        f"does [the|this] {SND} [contain|have] {{a_noise}}?",
        "[so |]it is {a_noise}, [right|correct|yes]?",
        "[would you say|do you think] [that |]it is {a_noise}?",
    ],
    "is_pitch": [
        f"{CLAIM} [it|the pitch|the sound|the tone] is {{pitch}}.",
        f"{CLAIM} [it|the pitch|the sound|the tone] is {{pitch}}.",
        "is [this|that] [tone|beep|pitch|noise] {pitch}?",
        "is {pitch} the pitch?",
        "is [it|the pitch|the sound|the tone] {pitch}?",
        "are the beeps {pitch}?",
        "is it a {pitch} [tone|sound|pitch|beep]?",
        "[so |]it is {pitch}, [right|correct|yes]?",
        "does it sound {pitch}?",
    ],
    "says_word": [
        f"{CLAIM} [the voice|the speaker|he|she|someone] says {{word}}.",
        'does [anybody|somebody|a person|this voice|the man|the woman] [say|speak] ["{word}"|{word}]?',
        '[can|could|did] you hear ["{word}"|{word}]?',
        'is ["{word}"|{word}] [among the words|in it|there|to be heard]?',
        'does [the voice|the speaker|the person|it|he|she|someone] say [the word |]"{word}"?',
        "do you hear [the word |]{word}?",
        "is the word {word}[| spoken| said]?",
        "did [they|the voice|someone] say {word}?",
        "is {word} [said|spoken|one of the words]?",
    ],
    "is_beeps": [
        f"{CLAIM} there are {{n}} beeps.",
        f"{CLAIM} [it beeps {{n}} times|you hear {{n}} beeps].",
        "[do|can|could] you count {n} beeps?",
        "did it beep {n} times?",
        "are {n} beeps [there|to be heard|in it]?",
        "are there {n} beeps?",
        "do you hear {n} beeps?",
        "does it beep {n} times?",
        "is the number of beeps {n}?",
        "[so |]there are {n} beeps, [right|correct|yes]?",
    ],
    "clip": [
        *GENERIC,
        f"what [happens|is happening|is going on|goes on|happened|is shown|can be seen|takes place][| here| in this {VID}| in the {VID}| in that {VID}]?",
        f"[describe|explain|summarize|summarise|analyze|analyse|caption|recap] [this|the|that|my] {VID}.",
        f"{WHATS} [in|on|shown in] [this|the|that|my] {VID}?",
        f"what does [this|the] {VID} [show|depict|contain]?",
        f"what [do|can] you see in [this|the] {VID}?",
        "[describe|explain|tell me] what [happens|is happening|you see|is going on|happened].",
        f"[give me|write|provide] a [short |brief |]summary of [this|the] {VID}.",
        f"[tell me about|tell me what happens in|talk about] [this|the] {VID}.",
        "describe the [motion|movement|action|scene|animation].",
        "what [is|does] [it|the object|the shape|the {thing}|the thing] [doing|do]?",
        "[watch|watch this|look at this clip][. What happens|. What do you see|]?",
        f"what is [this|the] {VID} about?",
        "how does [it|the {thing}|the object] [move|behave|change]?",
    ],
    "direction": [
        "[which|what] [direction|way] does [it|the {thing}|the object|the shape] [move|go|travel][| in]?",
        "in [which|what] direction does [it|the {thing}|the object] [move|go|travel]?",
        "where does [it|the {thing}|the object] [go|move|move to|travel to|end up]?",
        "[where is|which way is] [it|the {thing}] [moving|going|heading]?",
        "does [it|the {thing}] move [left or right|up or down|left, right, up or down]?",
        "direction?",
        "tell me the direction[| of the motion| of movement].",
    ],
    "turns": [
        "[which|what] color does [it|the {thing}] [turn|turn into|become|change to|have at the end]?",
        "how does [the|its] color change?",
        "what color [is|was] [it|the {thing}] at the end?",
        "what is the [new|final|last] color?",
    ],
    "moves": [
        f"{CLAIM} [it|the {{thing}}|the object] [moves|goes|is moving] {{way}}.",
        f"{CLAIM} [it|the {{thing}}|the object] [moves|goes|is moving] {{way}}.",
        "does [this|that|this object|this shape] [go|move|travel] {way}?",
        "is the [motion|movement|direction] {way}?",
        "does [it|the {thing}|the object|the shape] [move|go|travel] {way}?",
        "is [it|the {thing}] [moving|going] {way}?",
        "[so |]it moves {way}, [right|correct|yes]?",
        "[would you say|do you think|is it true] [that |][it|the {thing}] moves {way}?",
    ],
    "does": [
        f"{CLAIM} [it|the {{thing}}|the object] does {{deed}}.",
        "[can|could|do|did] you [see|notice|watch] the {thing} {deed}?",
        "does [this|this thing|that] {deed}?",
        "[do|did] you see [it|this] {deed}?",
        "[does|did] [it|the {thing}|the object|the shape] {deed}?",
        "[would you say|do you think|is it true] [that |]it [does |]{deed}?",
    ],
    "pictures": [
        "[what are|describe|tell me about|explain|summarize|list|caption] [these|them|both|all of them|these two].",
        "[describe|explain|caption|summarize] [these|the|all|both|all the|the two] [pictures|images|photos][| in order].",
        "what do [these|the|both|the two|all the] [pictures|images|photos] [show|contain|depict]?",
        "what [is|do you see|can you see] in [these|the|both] [pictures|images|photos]?",
        "what do you see[| in each picture| in each image| in each of them]?",
        "describe each [image|picture|photo|one].",
        "[what is|what's] in each [image|picture|photo]?",
        "[tell me|list] what each [image|picture|photo] shows.",
        "what are we looking at?",
        "describe [this|what you see|everything].",
        "what is this?",
    ],
    "nth": [
        f"{WHATS} [in|on|shown in] the {{nth}} {PIC}?",
        "[describe|explain|caption] the {nth} [one|picture|image|photo].",
        f"what does the {{nth}} {PIC} show?",
        "[what is|what's] the {nth} [one|picture|image|photo]?",
        "and the {nth}[| one]?",
        f"what do you see in the {{nth}} {PIC}?",
        f"tell me about the {{nth}} {PIC}.",
        f"what was in the {{nth}} {PIC}?",
    ],
    "change": [
        "what [changed|has changed|is different|'s different|changes|differs]?",
        "what [changed|has changed|is different|differs|changes] [between|in] [these|the|the two|both] [images|pictures|photos]?",
        "[what is|what's|whats|describe|find|name|spot|tell me|explain] the [difference|change][| between them| between the images| between the pictures| between these two| here].",
        "[compare|contrast] [these|the|the two|both|these two] [images|pictures|photos].",
        "compare [them|these|both].",
        "how [do|did] [these|the|the two] [images|pictures|photos] [differ|change]?",
        "how is the [second|last] [picture|image|one] different[| from the first]?",
        "[what are|list|find|spot] the [differences|changes].",
        "what is new in the [second|last] [picture|image|one]?",
        "before and after: what changed?",
    ],
    "changed": [
        "did [anything|something] change?",
        "[has|have] [anything|something] changed?",
        "[are|is] there [a|any] [difference|change]?",
        "is [anything|something] different?",
        "do [they|the pictures|the images|these] differ?",
        "[are|were] [they|the images|the pictures] different?",
    ],
    "everything": [
        "describe what you [hear and see|see and hear].",
        "what [do|can] you [see and hear|hear and see]?",
        "[describe|explain|summarize|tell me about] [both|everything|all of this|all of it|all of them|these files|both files|these].",
        "[describe|explain|tell me about] the {first} and the {second}.",
        "[what is|what's] in the {first} and [in |]the {second}?",
        "what do the {first} and the {second} [show|contain]?",
        "[compare|summarize] the {first} and the {second}.",
        "[what is going on|what is happening|what is this|what have I sent|what are these|what do you get]?",
        "describe [this|it|what you get|what I sent].",
        "tell me what is in [the files|both|each of them|each file].",
        "what do you [notice|perceive|observe]?",
    ],
    "match": [
        "does the [commentary|voice|speaker|sound|audio|tone|narration|recording|speech|narrator] [match|fit|agree with|go with|describe|correspond to] "
        "[the|this] [chart|graph|picture|image|photo|drawing]?",
        "does the [commentary|voice|sound|tone|audio] match what the [chart|picture|image|graph] shows?",
        "do [they|the two|both|the picture and the sound|the image and the audio|sound and picture] [match|agree|fit together|fit|correspond|go together]?",
        "is the [commentary|voice|speaker|sound|tone|audio|narration] [right|correct|true][| about the chart| about the picture]?",
        "does [it|the audio|the sound] match?",
        "does the speaker describe the [image|picture|chart] correctly?",
        "is what you hear what you see?",
        "match?",
        "[check|tell me] [if|whether] the [voice|sound|audio|tone|commentary] [matches|fits] the [picture|chart|image|graph].",
        "is that what the [chart|picture|image] shows?",
    ],
    "clips": [
        "[compare|describe|summarize|explain|tell me about] [these two|both|these|the two|the] [videos|clips|movies].",
        "[compare|describe] [them|both|these].",
        "what [happens|is happening] in [these|the two|both|the] [videos|clips]?",
        "what do [these|the two|both] [videos|clips] show?",
        "what is the difference between [these|the two|both] [videos|clips]?",
        "what happens in each [video|clip]?",
        "what happens?",
        "how do the [videos|clips] differ?",
    ],
    "greet": [
        "[hello|hi|hey|hello there|hi there|hey there|good morning|good evening|good afternoon|good day|greetings|howdy|yo|hiya|moin|hallo][|!|.|, how are you?|, how is it going?|, nice to meet you.|, model.|, friend.]",
        "[how are you|how are you doing|what's up|whats up|how do you do|are you there|anybody there|how is it going|is anyone there][?| today?| doing?]",
        "[test|testing|ping|just testing|testing 1 2 3|ok].",
    ],
    "who": [
        "[what|which] [kind|type] of [ai|model|bot|program|assistant] [are you|is this|do we have here]?",
        "[I'd like|I want|I would like] to know [who|what] you are.",
        "[say|tell us|explain] [who|what] you are.",
        "[can|could] you [introduce yourself|tell me who you are|say who you are|tell me your name]?",
        "[what|which] [model|ai] [do I|do we|am I] [have here|using|use]?",
        "are you [smart|intelligent|a big model|a program|some machine|a computer|software|the demo|a toy]?",
        "what [is|was] this [ai|bot|program|assistant|thing]?",
        "[who|what] are you[| exactly| really]?",
        "[what is|what's|tell me] your name[|.|?]",
        "[tell me|say something|talk|tell me something] about yourself.",
        "[introduce|describe|explain] yourself.",
        "[which|what] [model|ai|assistant|bot|program|language model|checkpoint] [are you|is this|am I talking to|do I talk to|is running|is this running]?",
        "are you [a human|a robot|an ai|a bot|chatgpt|gemma|real|alive|a real model|a person|a language model]?",
        "[who|what] [made|trained|built|created|wrote] you?",
        "[who is this|who is there|what is this program|what is this thing called]?",
        "what is mistralrs?",
        "how [big|large|smart|good|old|small] are you?",
        "is this a [demo|test|toy|real model]?",
        "who am I talking to?",
    ],
    "able": [
        "what [can|could|do|will|would|are] you [do|understand|recognize|handle|answer|help with|offer|able to do|capable of|good for]?",
        "[tell|show] me [what you are able to do|what you do|how to use you|how this works|your skills|everything you can do|what I can ask].",
        "how [do I|should I|can I|do we|does one] [use|work with|talk to|ask|operate] [you|this|it|this program|this thing|mistralrs|the model|a model like you]?",
        "what [sorts|kinds|types|kind] of [questions|media|input|files|tasks|things] [can|could|do|will] you [answer|take|handle|understand|accept|know|do]?",
        "[what|which] [media|inputs|formats|files] do you [take|accept|support|read|understand]?",
        "[say|explain|describe] what you can [do|understand|see|hear|answer].",
        "what [could|should|would|can] I [do with you|send you|use you for|ask|try here]?",
        "what can you do[| for me]?",
        "[help|help me|help please|I need help|can you help me][.|?|!]",
        "how [do|can] [I use you|you help me|you help|I use this|this work|you work|does this work|I start]?",
        "what [do you do|are you good at|are you able to do|do you know|can I ask you|should I ask|can I do here|are your abilities|are your capabilities|are your skills]?",
        "[what|which] [things|questions|tasks|inputs|files] can you [answer|do|handle|understand|read]?",
        "can you [see|hear|see pictures|understand images|listen|watch videos|look at images|transcribe audio|describe a picture]?",
        "[give me|show me] [an example|examples|some examples|instructions].",
        "list your [features|abilities|skills].",
    ],
    "models": [
        "[which|what] [bigger|better|other|larger|real|stronger] [model|models] [would you|should I|can I|do you|could I] [recommend|use|try|run|suggest|get|take|want]?",
        "tell me [of|some|a few|which are] [bigger|better|other|real|good] models.",
        "[can|could] you [suggest|name|tell me|recommend me] [a bigger|a better|another|a good|a different|a larger] model?",
        "where [can|do|could] I [find|get|download] [real|other|bigger|good|more] models?",
        "[are there|do you know] [other|better|bigger|real|any other] models?",
        "[anything|something] [better|bigger|smarter] than you?",
        "[which|what] [real |other |better |bigger |larger |good |]models [can|could|should|do|may] [I|we] [try|use|run|load|download]?",
        "[recommend|suggest|name|list|show me] [a|some|another|me a|me some] [real|better|bigger|larger|good|other|vision] [model|models].",
        "[how do I|how can I] [run|use|load|get|start] a [real|better|bigger|larger|different|proper] model?",
        "is there a [better|bigger|real|larger|smarter] model?",
        "[what|which] model [is better|should I use instead|do you recommend|would you recommend|is good for images|for pictures|for audio|for video]?",
        "which models are [supported|available|there|good]?",
        "I [want|need|would like] a [real|better|bigger|smarter|larger] model.",
    ],
    "thanks": [
        "[thanks|thank you|thx|many thanks|thanks a lot|thank you very much|great, thanks|cool, thanks|cheers|nice, thank you|perfect, thanks][|!|.| so much.| for that.| for your help.]",
        "[great|nice|cool|perfect|awesome|well done|good job|very good|wow|good|impressive|amazing][|!|.| work.| answer.]",
    ],
    "bye": [
        "[bye|goodbye|bye bye|see you|see you later|good night|so long|farewell|exit|quit|that's all|I have to go|take care|until next time|ciao][|!|.| for now.]"
    ],
}

HELD_OUT: dict[str, list[str]] = {
    "picture": [
        "What does this photo show us?",
        "What exactly is pictured here?",
        "Describe the content of the image.",
        "Tell me what this picture is.",
        "What's this a picture of?",
        "Can you describe what is in my photo?",
        "I'd like a description of this image, please.",
        "What thing can be seen in the photo?",
        "Please explain the image to me.",
    ],
    "detail": [
        "Please describe this picture in as much detail as you can.",
        "Write a detailed description of what the image shows.",
        "Tell me in detail what is in this picture.",
        "Give a detailed answer about the scene.",
    ],
    "color": [
        "Which color does the {thing} have here?",
        "Can you tell me the color of that {thing}?",
        "What's the color of this one?",
        "The {thing} is of what color?",
        "I want to know the color.",
    ],
    "shape": [
        "Which shape does it have?",
        "Can you tell me the shape of this thing?",
        "What form is the object?",
        "I want to know the shape.",
        "Can you name this shape?",
    ],
    "count": [
        "Could you tell me how many {things} are in there?",
        "How many {things} does the image contain?",
        "What number of {things} do you see?",
        "Please tell me the count.",
        "How many can you count?",
    ],
    "where": [
        "Where exactly is the {thing}?",
        "Can you tell me where the {thing} is?",
        "Where would you say it is?",
        "In which place is the {thing}?",
    ],
    "side": ["What is it that you see {side}?", "Can you tell me what is {side}?", "Which thing can be seen {side}?"],
    "relation": ["Can you tell me what is {relation} the {thing}?", "Which thing is {relation} the {thing}?"],
    "trend": [
        "Does the chart rise or fall?",
        "Would you say the bars go up or down?",
        "Tell me the trend of this chart.",
        "Are the numbers in the graph rising or falling?",
    ],
    "read": [
        "Can you tell me what is written here?",
        "What word is printed in the picture?",
        "Please read the text.",
        "Which text can you see?",
        "What does the picture say?",
    ],
    "is_color": ["Am I right that it is {color}?", "Is this thing {color}?", "Does it look {color}?"],
    "is_shape": ["Am I right that it is {a_shape}?", "Is this thing {a_shape}?", "Does it look like {a_shape}?"],
    "is_there": ["Can {a_thing} be seen?", "Is there {a_thing} to be seen?", "Am I right that there is {a_thing}?"],
    "is_count": ["Am I right that there are {n}?", "Are {n} {things} shown?", "Can you see {n} {things} here?"],
    "is_at": ["Am I right that it is {place}?", "Is the {thing} located {place}?"],
    "is_trend": ["Am I right that it is {trend}?", "Is this graph {trend}?"],
    "says": ['Is "{text}" the word?', 'Am I right that it says "{text}"?'],
    "sound": [
        "What kind of sound do you hear?",
        "Can you tell me what this sound is?",
        "Tell me what you hear.",
        "What is there to hear in this clip?",
        "Please describe the sound in this file.",
        "What's that noise?",
    ],
    "transcribe": [
        "Please transcribe this audio for me.",
        "What words are being said?",
        "Can you write down the words?",
        "Tell me what the voice says.",
        "Which words does the speaker say?",
    ],
    "beeps": ["Could you count the beeps for me?", "How many beeps can be heard?", "Tell me how many beeps there are."],
    "pitch": ["Would you call the pitch low or high?", "Is that sound high or low?", "Tell me the pitch."],
    "sweep": ["Would you say the tone rises or falls?", "Tell me if the pitch goes up or down."],
    "hear_what": ["Can {a_noise} be heard?", "Am I right that it is {a_noise}?"],
    "is_pitch": ["Am I right that it is {pitch}?", "Is this sound {pitch}?"],
    "says_word": ['Can you hear the word "{word}"?', "Does anyone say {word}?"],
    "is_beeps": ["Am I right that there are {n} beeps?", "Can you hear {n} beeps?"],
    "clip": [
        "Tell me what is going on in this clip.",
        "What can you see happening?",
        "Please summarise the video for me.",
        "What goes on in this footage?",
        "Can you describe the video?",
        "What is the thing in the video doing?",
    ],
    "direction": [
        "Tell me which way it moves.",
        "What is the direction of the {thing}?",
        "To which side does the {thing} go?",
        "Which way is the object travelling?",
    ],
    "turns": [
        "What color does it have in the end?",
        "Tell me how the color changes.",
        "Into what color does it change?",
    ],
    "moves": ["Am I right that it moves {way}?", "Does this thing go {way}?"],
    "does": ["Am I right that it does {deed}?", "Can you see it {deed}?"],
    "pictures": [
        "Tell me what is in these images.",
        "What is shown in the pictures?",
        "Please describe all of the pictures.",
        "What can be seen in these photos?",
    ],
    "nth": [
        "Can you describe the {nth} picture?",
        "What can be seen in the {nth} image?",
        "Tell me what the {nth} photo shows.",
    ],
    "change": [
        "Tell me what changed.",
        "Which difference do you see between the two pictures?",
        "Can you compare the two photos?",
        "What has been changed from the first to the second picture?",
        "In what way are they different?",
    ],
    "changed": ["Can you see any change?", "Is there something that changed?", "Has the picture changed?"],
    "everything": [
        "Please describe what you can see and hear.",
        "Tell me about the {first} and about the {second}.",
        "What do I have here?",
        "Describe all you get.",
        "Please describe the {first} and the {second}.",
    ],
    "match": [
        "Do the picture and the voice agree?",
        "Does the audio agree with the image?",
        "Is the speaker right about this?",
        "Does what you hear fit the chart?",
        "Does the voice say what the picture shows?",
    ],
    "clips": ["What goes on in the two videos?", "Can you compare both clips?", "Tell me what happens in these clips."],
    "greet": ["Hello, my friend!", "Hi, anyone here?", "Good morning to you!", "Hey, how are things?"],
    "who": [
        "What is this model?",
        "May I ask who you are?",
        "What sort of model are you?",
        "Are you a machine?",
        "Tell me who you are.",
    ],
    "able": [
        "What could you do for me?",
        "Tell me what you can do.",
        "What sort of things can you do?",
        "How do I use this model?",
        "What are you able to understand?",
    ],
    "models": [
        "Which bigger models would you try?",
        "Can you recommend a real model?",
        "Where do I find a better model?",
        "What other model could I run?",
        "Tell me about real models.",
    ],
    "thanks": ["Thank you, that was great.", "Thanks, that helped!", "Very nice, thanks."],
    "bye": ["Bye, see you soon!", "Goodbye then.", "I am leaving now, bye."],
}

ALWAYS: dict[str, list[str]] = {
    "picture": ["What is this?", "What is in this picture?", "Describe this image.", "What is shown in this image?"],
    "detail": [
        "What is shown in this image? Write a detailed response analyzing the scene.",
        "Describe in detail what is happening.",
    ],
    "change": ["What changed between these images?"],
    "transcribe": ["Transcribe this.", "Transcribe this audio."],
    "clip": ["What happens in this video?", "Summarize this clip.", "Describe in detail what is happening."],
    "everything": ["Describe what you hear and see."],
    "match": ["Does the commentary match what the chart shows?"],
    "clips": ["Compare these two videos"],
}
POLITE = (
    *("please ", "please, ", "can you tell me: ", "could you tell me: ", "hey, ", "hi, ", "hello, ", "ok, ", "okay, "),
    *("so, ", "now, ", "well, ", "tell me, ", "I want to know: ", "quick question: ", "question: ", "hi! ", "hello! "),
    *("can you please ", "could you ", "can you ", "would you please ", "um, ", "look, ", "great. ", "and "),
)
CLOSING = (" please", ", please", " thanks", ", thank you", " for me", " now", " exactly", " then")


def expand(pattern: str, rng: random.Random, **slots: str) -> str:
    """One sentence of a pattern."""
    return choose(pattern, rng).format(**slots)


def choose(pattern: str, rng: random.Random) -> str:
    """Take one of every ``[a|b]``, the innermost first."""
    while "[" in pattern:
        pattern = re.sub(r"\[([^\[\]]*)\]", lambda match: rng.choice(match[1].split("|")), pattern)
    return pattern


def plain(sentence: str) -> str:
    """A sentence without case and punctuation, to compare wordings."""
    return re.sub(r"[^a-z0-9_{}]+", " ", sentence.lower().replace("colour", "color")).strip()


@cache
def _plain_held_out(intent: str) -> tuple[str, ...]:
    return tuple(plain(kept) for kept in HELD_OUT.get(intent, ()))


def is_held_out(intent: str, sentence: str, slots: dict[str, str]) -> bool:
    """Whether a sentence says the same as one of the held-out phrasings with these slots filled in."""
    words = plain(sentence)
    return any(kept.format(**slots) in words for kept in _plain_held_out(intent))


def phrase(intent: str, rng: random.Random, held_out: bool = False, **slots: str) -> str:
    """A question of this intent, as somebody might type it: composed for training, kept out of it for evaluation."""
    if held_out:
        return british(wear_lightly(rng.choice(HELD_OUT[intent]).format(**slots), rng), rng)
    while True:
        sentence = composed(intent, rng, **slots)
        if not is_held_out(intent, sentence, slots):
            return british(wear(sentence, rng), rng)


def composed(intent: str, rng: random.Random, **slots: str) -> str:
    if intent in ALWAYS and rng.random() < 0.12:
        return rng.choice(ALWAYS[intent])
    sentence = expand(rng.choice(PATTERNS[intent]), rng, **slots)
    if rng.random() < 0.22:
        sentence = rng.choice(POLITE) + sentence
    if rng.random() < 0.1:
        sentence = re.sub(r"([?.!]*)$", lambda end: rng.choice(CLOSING) + end[0], sentence, count=1)
    return sentence[0].upper() + sentence[1:]


def british(sentence: str, rng: random.Random) -> str:
    """UK spelling for four in ten."""
    if rng.random() < 0.4:
        sentence = sentence.replace("color", "colour").replace("Color", "Colour").replace("center", "centre")
    return sentence


def wear_lightly(sentence: str, rng: random.Random) -> str:
    """Lower case or no final mark, now and then."""
    if rng.random() < 0.25:
        sentence = sentence.lower()
    return sentence.rstrip("?.!") if rng.random() < 0.25 else sentence


def wear(sentence: str, rng: random.Random) -> str:
    """Case, missing marks and typos as in real prompts."""
    sentence = wear_lightly(sentence, rng)
    chance = rng.random()
    if chance < 0.02:
        return sentence.upper()
    if chance < 0.09 and len(sentence) > 8:
        at = rng.randrange(1, len(sentence) - 2)
        pair = sentence[at : at + 2]
        sentence = sentence[:at] + rng.choice((pair[::-1], pair[0], pair[0] * 2 + pair[1])) + sentence[at + 2 :]
    return sentence
