//! Words that say nothing of what is asked, and words that say the same.

/// Words without weight: articles, pronouns, helpers, politeness, prepositions that leave the question what it is.
#[rustfmt::skip]
pub(super) const LIGHT: &[&str] = &[
    "a", "about", "actually", "ago", "all", "also", "am", "an", "and", "any", "anybody", "anyone", "are", "as", "ask", "at", "basically",
    "be", "been", "being", "can", "clearly", "could", "curious", "do", "does", "doing", "done", "dear", "each", "else", "every",
    "exactly", "for", "get", "give", "go", "going", "good", "got", "had", "happen", "has", "have", "having", "hello", "help", "hey",
    "hi", "i", "in", "is", "it", "its", "just", "kindly", "know", "learn", "let", "like", "look", "me", "mine", "my", "need", "of", "ok",
    "okay", "on", "one's", "or", "our", "over", "please", "pls", "possible", "quick", "question", "really", "right", "say", "see", "so",
    "some", "somebody", "someone", "sort", "suppose", "tell", "thank", "thanks", "that", "the", "their", "them", "then", "there",
    "these", "they", "thing", "this", "those", "to", "try", "trying", "understand", "us", "use", "used", "using", "via", "want",
    "wanted", "was", "we", "well", "were", "will", "with", "wonder", "wondering", "would", "you", "your", "yours", "by", "did", "into",
    "from", "than", "how", "what", "which", "who", "whom", "whose", "when", "where", "why", "not", "way", "one", "should", "m", "s",
    "ve", "re", "ll", "d", "t", "explain", "describe", "define", "information", "info", "mean", "meaning", "definition", "work", "come",
    "take", "find", "call", "called", "known", "name", "named", "anything", "something", "step", "simple", "simply", "easy", "easiest",
    "best", "proper", "properly", "correct", "correctly", "located", "situated", "method", "approach", "instruction", "reason", "cause",
    "idea", "concept", "term", "kind", "type", "typically", "usually", "generally", "normally", "common", "commonly",
];

/// Words that stand for one another in a question, the first for all of them.
#[rustfmt::skip]
pub(super) const SAME: &[&[&str]] = &[
    &["make", "create", "build", "generate", "produce", "construct", "made", "built"],
    &["write", "compose", "draft", "wrote", "written"], &["fix", "repair", "solve", "resolve", "correct", "troubleshoot"],
    &["remove", "delete", "erase", "drop", "eliminate", "rid"], &["begin", "start", "commence", "launch"],
    &["end", "finish", "complete", "conclude"], &["stop", "halt", "cease"], &["exit", "quit"],
    &["show", "display", "demonstrate", "illustrate", "present"], &["list", "enumerate"],
    &["change", "modify", "alter", "edit", "adjust"], &["verify", "check", "validate", "confirm"], &["buy", "purchase"],
    &["big", "large", "huge"], &["small", "little", "tiny"], &["fast", "quick", "rapid", "speedy", "quickly"], &["speed", "accelerate"],
    &["hard", "difficult", "tough"], &["important", "crucial", "essential", "key", "vital"], &["error", "bug", "mistake", "fault"],
    &["issue", "problem", "trouble"], &["choose", "pick", "select"], &["job", "occupation", "profession"], &["pupil", "student"],
    &["kid", "child", "children"], &["car", "automobile"], &["picture", "image", "photo", "photograph"], &["film", "movie"],
    &["house", "home"], &["doctor", "physician"], &["summarize", "summarise", "summary", "recap"], &["translate", "translation"],
    &["difference", "different", "differ", "distinguish", "distinction"], &["compare", "comparison", "versus", "vs"],
    &["advantage", "benefit", "pro", "upside"], &["disadvantage", "drawback", "con", "downside"],
    &["increase", "raise", "boost", "grow"], &["decrease", "reduce", "lower", "cut", "lessen"], &["improve", "enhance", "better"],
    &["wrong", "incorrect"], &["join", "combine", "merge", "concatenate"], &["divide", "split", "separate"], &["function", "func"],
    &["program", "application", "app"], &["folder", "directory"], &["text", "string"], &["number", "amount", "count", "quantity"],
    &["sick", "ill"], &["answer", "reply", "response", "respond"], &["letter", "mail", "email", "e-mail"],
    &["cheap", "inexpensive", "affordable"], &["expensive", "costly", "pricey"], &["cost", "price"],
    &["major", "main", "primary", "principal", "chief"], &["invent", "inventor", "invention"], &["discover", "discoverer", "discovery"],
    &["found", "founder", "establish"], &["born", "birth", "birthday"], &["die", "death", "died"], &["high", "height", "tall"],
    &["long", "length"], &["wide", "width"], &["deep", "depth"], &["heavy", "weight", "weigh"], &["old", "age"],
    &["near", "close", "nearby"], &["tip", "advice", "suggestion", "recommendation", "recommend", "suggest"], &["cook", "prepare"],
    &["trip", "journey", "travel"], &["avoid", "prevent"], &["enable", "activate"], &["disable", "deactivate"],
    &["convert", "conversion", "transform", "turn"], &["calculate", "compute", "determine", "calculation"], &["iterate", "loop"],
    &["invoke", "run", "execute"], &["rename", "renaming"], &["undo", "revert"], &["language", "lang"], &["usa", "america"],
    &["uk", "britain"], &["population", "inhabitant"], &["example", "sample", "instance"], &["polite", "courteous"],
    &["kubernetes", "k8s"], &["javascript", "js"], &["typescript", "ts"], &["postgres", "postgresql"], &["database", "db"],
    &["config", "configuration", "configure"], &["repo", "repository"], &["vitamin", "vitamins"], &["symptom", "sign"],
    &["treat", "treatment", "cure"], &["recipe", "recipes"], &["synonym", "synonyms"], &["negotiate", "negotiation"],
    &["boil", "boiling"], &["freeze", "freezing"],
];

/// Words about a time that moves: an answer from before is another's answer.
#[rustfmt::skip]
pub(super) const TIMELY: &[&str] = &[
    "now", "today", "tonight", "tomorrow", "yesterday", "currently", "current", "latest", "recent", "recently", "nowadays", "newest",
    "upcoming", "breaking", "lately", "weather", "forecast", "news", "stock", "headline", "trending", "still", "this week", "this month",
    "this year", "this morning", "this evening", "this weekend", "last week", "last month", "last year", "last night", "next week",
    "next month", "next year", "right away", "at the moment", "these days", "so far", "up to date", "what time", "what day", "the date",
    "exchange rate", "open now", "how long until", "how many days until", "price of", "how old is",
];

/// Words that deny.
#[rustfmt::skip]
pub(super) const DENIALS: &[&str] = &[
    "not", "no", "never", "without", "none", "nothing", "nobody", "nor", "neither", "except", "excluding", "cannot", "unless", "isnt",
    "dont", "doesnt", "wont", "cant", "shouldnt", "arent", "didnt", "wasnt", "hardly", "fail", "fails", "failed", "lack", "minus", "but",
];

/// Numbers in words.
#[rustfmt::skip]
pub(super) const NUMBERS: &[(&str, &str)] = &[
    ("zero", "0"), ("one", "1"), ("two", "2"), ("three", "3"), ("four", "4"), ("five", "5"), ("six", "6"), ("seven", "7"),
    ("eight", "8"), ("nine", "9"), ("ten", "10"), ("eleven", "11"), ("twelve", "12"), ("first", "1"), ("second", "2"), ("third", "3"),
    ("fourth", "4"), ("fifth", "5"), ("twenty", "20"), ("thirty", "30"), ("forty", "40"), ("fifty", "50"), ("hundred", "100"),
    ("thousand", "1000"), ("million", "1000000"), ("billion", "1000000000"), ("half", "1/2"), ("quarter", "1/4"), ("twice", "2"),
    ("double", "2"), ("triple", "3"), ("1st", "1"), ("2nd", "2"), ("3rd", "3"), ("4th", "4"), ("5th", "5"),
];

/// Words with which a request begins, and which say no more than a question mark.
#[rustfmt::skip]
pub(super) const REQUESTS: &[&str] = &[
    "list", "name", "show", "present", "enumerate", "recommend", "suggest",
];

/// What a question is after, by how it asks; the first that is found. Asking for a way and asking how is one.
#[rustfmt::skip]
pub(super) const AFTER: &[(&str, &[&str])] = &[
    ("many", &["how many", "how much", "number of", "amount of", "quantity of", "count of"]),
    ("who", &["who", "whom", "whose", "which person", "what person", "inventor", "author of", "discoverer", "founder"]),
    ("when", &["when", "what year", "which year", "what date", "which date", "in what year", "year did", "year was"]),
    ("where", &["where", "which place", "what place", "what city", "which city", "what country", "which country", "location of"]),
    ("why", &["why", "how come", "what reason", "the reason", "reasons for", "what causes", "the cause", "what makes"]),
    ("how", &["how", "way to", "ways to", "way of", "steps to", "steps for", "method to", "method for", "method of", "approach to", "instructions for", "guide to", "guide for"]),
];
