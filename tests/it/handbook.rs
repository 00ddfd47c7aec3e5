//! What the documents of these tests say.

use serde_json::{Value, json};

/// A small handbook: source and Markdown.
pub const HANDBOOK: [(&str, &str); 5] = [
    (
        "travel.md",
        "# Travel\n\n## Flights\n\nEmployees book economy class for flights under six hours. Longer flights may be booked \
         in premium economy.\n\n## Expenses\n\nReceipts are handed in within a month of the journey. The reimbursement of \
         travel expenses takes ten working days.\n",
    ),
    (
        "laboratory.md",
        "# Laboratory\n\n## Centrifuge\n\nThe centrifuge is serviced by Helena Brandt from Kranich Instruments. The \
         service of the centrifuge takes three hours and is due every March.\n\n## Waste\n\nSolvents are collected in the \
         yellow canisters beside the fume hood.\n",
    ),
    (
        "visitors.md",
        "# Visitors\n\nVisitors sign in at the reception desk and wear a green badge. Parking for visitors is in the \
         courtyard behind building four.\n",
    ),
    (
        "urlaub.md",
        "# Urlaub\n\nDer Urlaubsanspruch beträgt dreißig Tage im Jahr. Anträge gehen spätestens zwei Wochen vorher an die \
         Teamleitung. Über Ausnahmen entscheidet die Personalabteilung in Köln.\n",
    ),
    (
        "面会.md",
        "# 面会のご案内\n\n面会時間は午後二時から午後八時までです。受付で名札を受け取ってください。小さなお子様の面会はご遠慮ください。\n",
    ),
];

const SUBJECTS: [&str; 8] =
    ["harbour", "orchard", "library", "foundry", "railway", "bakery", "observatory", "printing house"];
const DOINGS: [&str; 7] = [
    "keeps a register of",
    "closes its gates before",
    "sends a messenger with",
    "repairs",
    "counts",
    "paints",
    "forgets",
];
const THINGS: [&str; 9] = [
    "the winter stores",
    "seven copper kettles",
    "old maps",
    "the evening bell",
    "wet timber",
    "letters",
    "ropes",
    "salt",
    "clocks",
];

/// Documents `from..to`, each with a text of its own, of about `sentences` times fifteen words.
pub fn numbered(numbers: std::ops::Range<usize>, sentences: usize) -> Vec<Value> {
    let sentence = |number: usize, place: usize| {
        let pick = number * 31 + place * 17;
        let (subject, doing, thing) = (SUBJECTS[pick % 8], DOINGS[(pick / 8 + place) % 7], THINGS[(pick / 3) % 9]);
        format!(
            "In year {} the {subject} of district {number} {doing} {thing}, as note {place} says. ",
            1700 + pick % 300
        )
    };
    numbers
        .map(|number| {
            let text: String = (0..sentences).map(|place| sentence(number, place)).collect();
            json!({"source": format!("note-{number:05}.md"), "content": format!("# Note {number}\n\n{text}\n")})
        })
        .collect()
}
