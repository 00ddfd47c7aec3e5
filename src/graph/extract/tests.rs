//! What holds for every document, and what sentences and tables give.

use jiff::civil::date;
use proptest::prelude::*;

use super::{Document, Structure, extract, key};
use crate::graph::{Exclusive, Extraction, Kind};
use jiff::civil::Date;

fn read(title: &str, content: &str) -> Extraction {
    let date = Some(date(2024, 5, 17));
    extract(&Document { title, content, structure: Structure::Markdown, date, language: None })
}

/// Facts as `subject – predicate – object`.
fn facts_of(title: &str, content: &str) -> Vec<String> {
    let said = read(title, content);
    let name = |at: usize| said.entities[at].name.as_str();
    said.facts
        .iter()
        .map(|fact| format!("{} – {} – {}", name(fact.subject), fact.predicate, name(fact.object)))
        .collect()
}

fn facts(content: &str) -> Vec<String> {
    facts_of("", content)
}

fn kind(content: &str, name: &str) -> Kind {
    read("", content).entities.into_iter().find(|entity| entity.name == name).map(|entity| entity.kind).unwrap()
}

fn dated(content: &str) -> (Option<Date>, Option<Date>) {
    let said = read("", content);
    let fact = said.facts.iter().find(|fact| fact.predicate != "is a").unwrap();
    (fact.valid_at, fact.invalid_at)
}

#[test]
fn verbs_state_facts_in_active_and_passive() {
    assert_eq!(
        facts("In March 2021 Norwind Energy acquired Solvik Turbines."),
        ["Norwind Energy – acquired – Solvik Turbines"]
    );
    assert_eq!(
        facts("Solvik Turbines was founded by Tor Haugland in 1998."),
        ["Tor Haugland – founded – Solvik Turbines", "Solvik Turbines – founded in – 1998"]
    );
    assert_eq!(facts("Tarn Optics acquired Velden Glass."), ["Tarn Optics – acquired – Velden Glass"]);
}

#[test]
fn offices_appositions_and_possessives_state_facts() {
    assert_eq!(facts("Mara Lindqvist is the CEO of Norwind Energy."), ["Mara Lindqvist – ceo of – Norwind Energy"]);
    assert_eq!(facts("Mara Lindqvist, CEO of Norwind Energy, resigned."), ["Mara Lindqvist – ceo of – Norwind Energy"]);
    assert_eq!(facts("The capital of France is Paris."), ["Paris – capital of – France"]);
    assert!(
        facts("Karl Brandt's wife Anna Brandt was there.").contains(&"Anna Brandt – wife of – Karl Brandt".to_owned())
    );
}

#[test]
fn an_office_has_one_holder_at_a_time() {
    let said = read("", "Ada Brandt has been the CEO of Kestrel Systems since 2015.");
    assert_eq!(said.facts[0].exclusive, Exclusive::Subject);
    assert_eq!((said.facts[0].valid_at, said.facts[0].invalid_at), (Some(date(2015, 1, 1)), None));
    assert_eq!(said.facts[0].stated_at, Some(date(2024, 5, 17)));
}

#[test]
fn facts_have_the_dates_of_their_sentence() {
    assert_eq!(dated("In March 2021 Norwind Energy acquired Solvik Turbines."), (Some(date(2021, 3, 1)), None));
    assert_eq!(dated("Ada Brandt was the CEO of Kestrel Systems until last year."), (None, Some(date(2023, 1, 1))));
    let from_to = dated("Ada Brandt was the CEO of Kestrel Systems from 2015 to 2020.");
    assert_eq!(from_to, (Some(date(2015, 1, 1)), Some(date(2021, 1, 1))));
}

#[test]
fn only_what_is_so_when_it_is_written_is_placed_by_the_documents_date() {
    let stated = |text: &str| {
        let said = read("", text);
        said.facts.iter().map(|fact| fact.stated_at.is_some()).collect::<Vec<_>>()
    };
    for text in [
        "Acme Corp is based in Oslo.",
        "Acme Corp has been based in Oslo.",
        "Ada Brandt is the CEO of Kestrel Systems.",
        "Kestrel's CEO is Ada Brandt.",
        "Ada Brandt, CEO of Kestrel Systems, said no.",
        "Kestrel Systems owns Marlow Labs.",
    ] {
        assert!(stated(text).contains(&true), "{text}");
    }
    for text in [
        "Acme Corp was based in Rome.",
        "Jane Doe lived in Rome in her youth.",
        "Acme's CEO was John Roe.",
        "Steve Jobs, CEO of Apple Inc., introduced the iPhone in 2007.",
        "Acme was previously based in Rome.",
        "Acme Corp had been based in Rome.",
    ] {
        assert!(!stated(text).is_empty() && !stated(text).contains(&true), "{text}: {:?}", facts(text));
    }
}

#[test]
fn only_what_there_is_one_of_shuts_others_out() {
    let exclusive = |text: &str| read("", text).facts.first().map(|fact| fact.exclusive);
    for text in [
        "Ann Lee has been a manager at Acme since 2018.",
        "Ann Lee is a director of Acme Corp.",
        "Ann Lee was born in France in 1990.",
        "Acme Corp has been based in Germany since 2015.",
        "Acme Corp was founded in 1946.",
    ] {
        assert_eq!(exclusive(text), Some(Exclusive::No), "{text}");
    }
    assert_eq!(exclusive("Acme Corp has been based in Munich since 2010."), Some(Exclusive::Object));
    assert_eq!(exclusive("Ann Lee is chief executive of Acme Labs."), Some(Exclusive::Subject));
}

#[test]
fn one_relation_has_one_name() {
    let same =
        ["Ann Lee is chief executive of Acme Labs.", "Acme Labs' CEO is Ann Lee.", "Ann Lee is the CEO of Acme Labs."];
    assert!(same.iter().all(|text| facts(text) == ["Ann Lee – ceo of – Acme Labs"]), "{:?}", same.map(facts));
    let table = "| Company | CEO | Headquarters |\n| --- | --- | --- |\n| Acme Labs | Ann Lee | Oslo |\n";
    assert_eq!(facts(table), ["Ann Lee – ceo of – Acme Labs", "Acme Labs – based in – Oslo"]);
}

#[test]
fn offices_are_taken_and_left_in_the_words_of_the_news() {
    for text in [
        "Acme Labs named Jane Doe CEO.",
        "Acme Labs has appointed Jane Doe as its new chief executive.",
        "Acme Labs named Jane Doe as CEO in March 2021.",
        "Jane Doe was appointed CEO by Acme Labs.",
        "Acme Labs has appointed Jane Doe as its new chief executive officer, it said.",
        "Jane Doe took over as CEO of Acme Labs.",
        "Jane Doe succeeded John Roe as CEO of Acme Labs.",
        "Jane Doe joined Acme Labs as CEO in 2019.",
        "Jane Doe serves as CEO of Acme Labs.",
        "Jane Doe is Acme Labs' new CEO.",
        "Jane Doe, Acme Labs' CEO, said no.",
        "Jane Doe stepped down as CEO of Acme Labs.",
    ] {
        assert!(facts(text).contains(&"Jane Doe – ceo of – Acme Labs".to_owned()), "{text}: {:?}", facts(text));
    }
    let when = |text: &str| {
        let said = read("", text);
        let fact = said.facts.iter().find(|fact| fact.predicate == "ceo of").unwrap();
        (fact.valid_at, fact.invalid_at)
    };
    assert_eq!(when("In March 2021, Acme Labs appointed Jane Doe as CEO."), (Some(date(2021, 3, 1)), None));
    assert_eq!(when("Jane Doe took over as CEO of Acme Labs on 1 February 2025."), (Some(date(2025, 2, 1)), None));
    assert_eq!(when("Jane Doe stepped down as CEO of Acme Labs."), (None, Some(date(2024, 5, 17))));
    let undated = Document {
        title: "",
        content: "Jane Doe stepped down as CEO of Acme Labs.",
        structure: Structure::Prose,
        date: None,
        language: None,
    };
    assert!(extract(&undated).facts.is_empty(), "nobody knows when");
    assert_eq!(when("Jane Doe resigned as CEO of Acme Labs in May 2022."), (None, Some(date(2022, 5, 1))));
}

#[test]
fn dates_stand_where_they_belong() {
    assert_eq!(dated("Until last year, Jane Doe was CEO of Acme Corp."), (None, Some(date(2023, 1, 1))));
    assert_eq!(dated("Until 2019 Acme Corp was based in Berlin."), (None, Some(date(2019, 1, 1))));
    let validity = |text: &str, predicate: &str| {
        let said = read("", text);
        let fact = said.facts.iter().find(|fact| fact.predicate == predicate).unwrap_or_else(|| panic!("{text}"));
        fact.valid_at
    };
    let visit = "On 3 March 2020 Jane Doe, CEO of Acme Corp, visited Paris.";
    assert_eq!((validity(visit, "ceo of"), validity(visit, "visited")), (None, Some(date(2020, 3, 3))));
    let met = "Jane Doe met Jensen Huang, founder of Nvidia, in Cupertino on 5 June 2023.";
    assert_eq!(validity(met, "founder of"), None);
    assert_eq!(validity("Jane Doe, CEO of Acme Corp since 2015, spoke.", "ceo of"), Some(date(2015, 1, 1)));
    assert!(facts("Google launched Gmail in 2004.").iter().all(|fact| fact != "Google – launched in – 2004"));
    assert!(facts("Apple Inc. released the iPhone in 2007.").iter().all(|fact| !fact.ends_with("2007")));
}

#[test]
fn a_company_ends_with_its_form() {
    for text in [
        "Jane Doe is CEO of Acme Corp. Bob Lee left Globex Inc. in 2020.",
        "Jane Doe is CEO of Acme Corp. The company is in Oslo.",
    ] {
        assert!(facts(text).iter().any(|fact| fact.starts_with("Jane Doe – ceo of – Acme Corp")), "{:?}", facts(text));
        let names: Vec<String> = read("", text).entities.into_iter().map(|entity| entity.name).collect();
        assert!(
            !names.iter().any(|name| name.contains("Bob Lee") && name.len() > 7 || name.ends_with("The")),
            "{names:?}"
        );
    }
    assert_eq!(facts("Apple Inc. CEO Tim Cook spoke."), ["Tim Cook – ceo of – Apple Inc."]);
    assert_eq!(kind("Its subsidiary Initech is in Oslo.", "Initech"), Kind::Organization);
}

#[test]
fn tables_without_prose_and_sentences_of_names_are_read() {
    let rows: String = (0..40).map(|row| format!("| Acme {row} Labs | Ann Lee {row} |\n")).collect();
    assert_eq!(facts(&format!("| Company | Founder |\n| --- | --- |\n{rows}")).len(), 40);
    assert_eq!(facts(&"Acme Corp visited Berlin.\n\n".repeat(40)).len(), 40);
}

#[test]
fn a_name_over_the_end_of_a_line_is_one_name() {
    let said = read("", "The pumps of Norwind\nEnergy Inc. are sold.");
    assert!(said.entities.iter().any(|entity| entity.name == "Norwind Energy Inc."), "{said:?}");
}

#[test]
fn a_day_is_named_by_its_date() {
    let said = read("", "Acme Corp founded Foo Labs yesterday.");
    assert!(said.entities.iter().any(|entity| entity.kind == Kind::Date && entity.name == "2024-05-16"), "{said:?}");
}

#[test]
fn concepts_are_defined_and_priced() {
    assert_eq!(facts("A mutex is a lock that protects data."), ["mutex – is a – lock"]);
    assert_eq!(facts("Lactic acidosis is a complication of metformin."), ["Lactic acidosis – is a – complication"]);
    let text = "The price of gold was $2,000 in 2023. The price of gold is $2,400.";
    assert_eq!(facts(text), ["gold – price – $2,000", "gold – price – $2,400"]);
    let said = read("", text);
    let starts: Vec<_> = said.facts.iter().map(|fact| (fact.exclusive, fact.valid_at.or(fact.stated_at))).collect();
    let expected = [date(2023, 1, 1), date(2024, 5, 17)].map(|day| (Exclusive::Object, Some(day)));
    assert_eq!(starts, expected);
    for text in ["A result is a failure.", "The company is a mess.", "A man is a man.", "The price of it is unknown."] {
        assert!(facts(text).is_empty(), "{text}: {:?}", facts(text));
    }
}

#[test]
fn what_is_denied_supposed_or_asked_is_no_fact() {
    for text in [
        "Norwind Energy did not acquire Solvik Turbines.",
        "It is not true that Norwind Energy acquired Solvik Turbines.",
        "If Norwind Energy acquired Solvik Turbines, it would grow.",
        "Norwind Energy may have acquired Solvik Turbines.",
        "Has Norwind Energy acquired Solvik Turbines?",
        "Mara Lindqvist is not the CEO of Norwind Energy.",
        "Norwind Energy denied that Mara Lindqvist joined Solvik Turbines.",
        "Acme Corp was nearly acquired by Globex Corp in 2019.",
        "Nobody knows when Acme Corp acquired Foo Labs.",
        "Jane Doe claimed that Acme Corp acquired Foo Labs.",
        "Mara Lindqvist is no longer the CEO of Norwind Energy.",
    ] {
        assert!(facts(text).is_empty(), "{text}: {:?}", facts(text));
    }
}

#[test]
fn pronouns_mean_the_one_who_can_be_meant() {
    let text = "Tor Haugland is a Norwegian engineer. He founded Solvik Turbines in 1998.";
    assert!(facts(text).contains(&"Tor Haugland – founded – Solvik Turbines".to_owned()));
    let owned = "Tor Haugland is an engineer. His father was a doctor.";
    assert!(!facts(owned).iter().any(|fact| fact.contains("doctor")), "{:?}", facts(owned));
    let two = "Tor Haugland met Karl Brandt. He founded Solvik Turbines.";
    assert!(!facts(two).iter().any(|fact| fact.contains("founded")), "{:?}", facts(two));
    let titled = facts_of(
        "Tor Haugland (engineer)",
        "Haugland studied rotor blades.\n\nTor Haugland lives in Bergen.\n\nHe founded Solvik Turbines.",
    );
    assert!(titled.contains(&"Tor Haugland – founded – Solvik Turbines".to_owned()), "{titled:?}");
}

#[test]
fn forms_of_a_name_are_one_entity() {
    let said =
        read("", "Norwind Energy Inc. is a company. The World Health Organization (WHO) met Norwind. The WHO left.");
    let norwind = said.entities.iter().find(|entity| entity.name == "Norwind Energy Inc.").unwrap();
    assert_eq!(
        (norwind.key.as_str(), norwind.aliases.as_slice()),
        ("norwind energy", ["Norwind".to_owned()].as_slice())
    );
    let who = said.entities.iter().find(|entity| entity.name == "World Health Organization").unwrap();
    assert_eq!(who.aliases, ["WHO"]);
}

#[test]
fn keys_leave_out_articles_forms_and_brackets() {
    assert_eq!(key("ACME Corp."), key("Acme"));
    assert_eq!(key("Willi Schneider (skeleton racer)"), "willi schneider");
    assert_eq!(key("The Beatles"), "beatles");
    assert_eq!(key(""), "");
}

#[test]
fn names_have_kinds() {
    let text = "Mara Lindqvist works at Stavanger University in Norway. She read “The Silent Harbour” on 3 May 2020 for $20 million.";
    assert_eq!(kind(text, "Mara Lindqvist"), Kind::Person);
    assert_eq!(kind(text, "Stavanger University"), Kind::Organization);
    assert_eq!(kind(text, "Norway"), Kind::Place);
    assert_eq!(kind(text, "The Silent Harbour"), Kind::Work);
    assert_eq!(kind(text, "3 May 2020"), Kind::Date);
    assert_eq!(kind(text, "$20 million"), Kind::Amount);
    assert_eq!(kind("Dr. Helen Cho of Mount Sinai Hospital spoke.", "Dr. Helen Cho"), Kind::Person);
    assert_eq!(facts("Alpha LLC owns 51% of Gamma Ltd."), ["Alpha LLC – owns – Gamma Ltd."]);
    let others = "Die Firma ist in der Stadt Boulogne-Billancourt, und der Umsatz der Firma stieg auf 75 Milliarden Euro in der Bundesrepublik Deutschland.";
    let people = read("", others).entities.into_iter().filter(|entity| entity.kind == Kind::Person).count();
    assert_eq!((people, kind(others, "75 Milliarden Euro")), (0, Kind::Amount));
}

#[test]
fn rows_of_tables_state_what_their_header_says() {
    let text =
        "| Product | Price | 2019 |\n| --- | --- | --- |\n| Kestrel Two | €20 | 44.1 |\n| Kestrel Three | €35 | |\n";
    let found = facts(text);
    assert_eq!(found, ["Kestrel Two – price – €20", "Kestrel Two – value – 44.1", "Kestrel Three – price – €35"]);
    let said = read("", text);
    assert_eq!(&text[said.facts[0].start..said.facts[0].end], "| Kestrel Two | €20 | 44.1 |");
    assert_eq!((said.facts[0].exclusive, said.facts[1].valid_at), (Exclusive::Object, Some(date(2019, 1, 1))));
}

#[test]
fn other_languages_give_names_alone_and_code_nothing() {
    let german = read(
        "",
        "Die Firma Norwind GmbH wurde von Karl Brandt gegründet und sie ist in der Stadt Bergen. Das Haus ist groß.",
    );
    assert!(
        german.facts.is_empty() && german.entities.iter().any(|entity| entity.name.ends_with("Norwind GmbH")),
        "{german:?}"
    );
    assert!(!german.entities.iter().any(|entity| entity.name == "Haus"), "{german:?}");
    assert_eq!(read("", "东京是日本的首都，位于关东地区。"), Extraction::default());
    let spanish =
        "La energía eólica crece en el norte. El precio de la energía eólica baja, y la energía eólica es limpia.";
    let terms: Vec<String> = read("", spanish).entities.into_iter().map(|entity| entity.name).collect();
    assert_eq!(terms, ["energía eólica"]);
    let chinese = "风力发电便宜。风力发电干净。我们用风力发电。";
    let said = read("", chinese);
    assert_eq!(
        (said.entities.len(), said.entities[0].name.as_str(), said.mentions.len()),
        (1, "风力发电", 3),
        "{said:?}"
    );
    let code = Document {
        title: "a.rs",
        content: "// Norwind acquired Solvik.",
        structure: Structure::Code,
        date: None,
        language: None,
    };
    assert_eq!(extract(&code), Extraction::default());
    assert!(facts("```\nNorwind Energy acquired Solvik Turbines.\n```").is_empty());
}

#[test]
fn giant_lines_are_read_in_bounds() {
    let text = "Norwind Energy acquired Solvik Turbines and ".repeat(5_000);
    let said = read("", &text);
    assert!(said.facts.is_empty() && said.entities.len() < 100);
    read("", &"(".repeat(300_000));
    read("", &"Aa".repeat(300_000));
    read("", &"A, ".repeat(100_000));
}

#[test]
fn a_name_of_a_place_in_the_title_is_the_place() {
    let said = read("Ellis, Kansas", "Ellis is a city in Ellis County, Kansas.");
    assert_eq!(said.entities[0].name, "Ellis");
    assert_eq!(said.entities[0].kind, Kind::Place);
}

/// What every extraction keeps.
fn holds(title: &str, content: &str, structure: Structure) -> Result<(), TestCaseError> {
    let document = Document { title, content, structure, date: None, language: None };
    let said = extract(&document);
    prop_assert_eq!(&said, &extract(&document));
    for mention in &said.mentions {
        prop_assert!(mention.entity < said.entities.len());
        prop_assert!(content.get(mention.start..mention.end).is_some_and(|text| !text.is_empty()));
    }
    prop_assert!(said.mentions.windows(2).all(|pair| pair[0].end <= pair[1].start));
    for fact in &said.facts {
        prop_assert!(fact.subject != fact.object && !fact.predicate.is_empty());
        let text = content.get(fact.start..fact.end);
        prop_assert!(text.is_some_and(|text| !text.is_empty()));
        let within = |entity: usize| {
            said.mentions
                .iter()
                .any(|mention| mention.entity == entity && fact.start <= mention.start && mention.end <= fact.end)
        };
        let lower = text.unwrap_or_default().to_lowercase();
        let refers = ["he ", "she ", "it ", "his ", "her ", "its ", "the "].iter().any(|word| lower.contains(word));
        prop_assert!(within(fact.object) && within(fact.subject) || refers, "{:?} in {:?}", fact, text);
    }
    let keys: std::collections::HashSet<&str> = said.entities.iter().map(|entity| entity.key.as_str()).collect();
    prop_assert_eq!(keys.len(), said.entities.len());
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read(title in "\\PC{0,20}", content in "\\PC{0,200}") {
        holds(&title, &content, Structure::Markdown)?;
    }

    #[test]
    fn any_text_of_the_usual_marks_is_read(content in "[A-Da-d0-9 .,;:!?\\n#|()\\[\\]'\"“”«—–\\-*_`&%$€/äÉß東。]{0,160}") {
        holds("A B", &content, Structure::Prose)?;
    }

    #[test]
    fn any_sentences_are_read(words in prop::collection::vec(prop::sample::select(vec![
        "Norwind Energy", "Karl Brandt", "Brandt", "Norway", "German", "1998", "$20 million", "March 2021", "is", "was", "the", "a", "of", "in", "by",
        "acquired", "founded", "CEO", "capital", "wife", "'s", ",", "(", ")", ".", "born", "who", "and", "He", "It", "not", "company", "\n\n", "|", "\n|",
        "since", "from", "to", "has", "population", "“", "”", "-", "–", "means", "Acme Corp.", "(born",
    ]), 0..40)) {
        let content = words.join(" ");
        holds("Karl Brandt (racer)", &content, Structure::Markdown)?;
    }
}
