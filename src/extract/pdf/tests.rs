//! What a PDF is made into.

use proptest::prelude::*;

use super::*;

/// A file of pages, each of which has instructions and, in `extra`, more entries of its dictionary. Text is set in
/// `F1`, a Helvetica, or `F2`, a Courier; `more` are further objects, from number 100 on.
fn pdf(pages: &[(String, &str)], more: &[String], trailer: &str) -> Vec<u8> {
    let mut objects: Vec<(usize, String)> = Vec::new();
    let kids: Vec<String> = (0..pages.len()).map(|at| format!("{} 0 R", 1000 + 2 * at)).collect();
    objects.push((1, "<< /Type /Catalog /Pages 2 0 R /Lang (en-GB) >>".to_owned()));
    objects.push((2, format!("<< /Type /Pages /Count {} /Kids [{}] >>", pages.len(), kids.join(" "))));
    objects.push((3, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned()));
    objects.push((4, "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>".to_owned()));
    objects.extend((100..).zip(more.iter().cloned()));
    for (at, (content, extra)) in pages.iter().enumerate() {
        let page = 1000 + 2 * at;
        objects.push((
            page,
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {} 0 R \
                 /Resources << /Font << /F1 3 0 R /F2 4 0 R >> /XObject << /Im 100 0 R >> >> {extra} >>",
                page + 1
            ),
        ));
        objects.push((page + 1, format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len())));
    }
    let mut file = "%PDF-1.7\n".to_owned();
    let mut places = Vec::new();
    for (number, object) in objects {
        places.push((number, file.len()));
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let start = file.len();
    file.push_str("xref\n");
    for (number, place) in places {
        file.push_str(&format!("{number} 1\n{place:010} 00000 n \n"));
    }
    file.push_str(&format!("trailer\n<< /Size 9999 /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n"));
    file.into_bytes()
}

/// Lines of text, each with its place from the lower left corner and its size.
fn text(lines: &[(u32, u32, u32, &str)]) -> String {
    lines.iter().map(|(x, y, size, text)| format!("BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n")).collect()
}

fn pages(pages: &[String]) -> Vec<u8> {
    let pages: Vec<(String, &str)> = pages.iter().map(|page| (page.clone(), "")).collect();
    pdf(&pages, &[], "")
}

fn content(file: &[u8]) -> String {
    extract(file, false).unwrap().content
}

const PICTURE: &str = "<< /Type /XObject /Subtype /Image /Width 4 /Height 4 /ColorSpace /DeviceGray /BitsPerComponent 8 \
                       /Length 16 >>\nstream\n0000zzzz0000zzzz\nendstream";

#[test]
fn pages_are_marked() {
    let file = pages(&[
        text(&[
            (50, 700, 24, "Great title"),
            (50, 650, 12, "It begins here and goes"),
            (50, 636, 12, "on in the second line."),
        ]),
        text(&[(50, 700, 12, "The second page.")]),
    ]);
    let found = extract(&file, false).unwrap();
    assert_eq!(found.content, "# Great title\n\nIt begins here and goes on in the second line.\n\nThe second page.");
    let second = found.content.find("The second").unwrap();
    let marks: Vec<(usize, Place)> = found.marks.into_iter().map(|mark| (mark.at, mark.place)).collect();
    assert_eq!(marks, [(0, Place::Page(1)), (second, Place::Page(2))]);
    assert_eq!((found.title.as_deref(), &found.metadata["page_count"]), (Some("Great title"), &2.into()));
    assert_eq!(found.metadata["language"], "en-GB");
}

#[test]
fn a_sentence_goes_on_over_the_end_of_its_page() {
    let page = |number: u32, lines: [&str; 2]| {
        text(&[
            (50, 780, 9, "Handbook"),
            (50, 700, 12, lines[0]),
            (50, 686, 12, lines[1]),
            (300, 20, 9, &format!("- {number} -")),
        ])
    };
    let file = pages(&[
        page(1, ["The nurse on duty checks the cabinet", "on the ward each morning and signs"]),
        page(2, ["the form, of which there is a copy on", "the wall, before noon and in the after-"]),
        page(3, ["noon, and goes home when all is well.", "Each form is kept for ten full years"]),
        page(4, ["Forms are kept for ten full years and", "never leave the house."]),
    ]);
    let found = extract(&file, false).unwrap();
    let expected = "Handbook\n\nThe nurse on duty checks the cabinet on the ward each morning and signs the form, of which \
                    there is a copy on the wall, before noon and in the afternoon, and goes home when all is well. Each \
                    form is kept for ten full years\n\nForms are kept for ten full years and never leave the house.";
    assert_eq!(found.content, expected);
    let marks: Vec<(&str, Place)> =
        found.marks.iter().map(|mark| (&expected[mark.at..mark.at + 5], mark.place.clone())).collect();
    let begins = ["Handb", "the f", "noon,", "Forms"];
    assert_eq!(marks, begins.into_iter().zip((1..).map(Place::Page)).collect::<Vec<_>>());
}

#[test]
fn a_sentence_goes_on_in_the_next_column_and_not_under_a_heading_or_table() {
    let column = |x, lines: [&'static str; 4]| {
        [700, 686, 672, 658].into_iter().zip(lines).map(move |(y, line)| (x, y, 10, line))
    };
    let left = [
        "Foxes live in woods near to",
        "towns, where berries, mice",
        "and hens are to be had. They",
        "are seldom seen by day and",
    ];
    let right = [
        "never by those who look for",
        "them, which is as they like",
        "it. Nobody knows how many",
        "there are of them in all.",
    ];
    let lines: Vec<_> = column(50, left).chain(column(310, right)).collect();
    assert_eq!(content(&pages(&[text(&lines)])), [left.join(" "), right.join(" ")].join(" "));

    let open =
        text(&[(50, 700, 12, "What is open here stays as open"), (50, 686, 12, "as it is where a heading follows")]);
    let headed = text(&[(50, 700, 20, "a heading")]) + &text(&[(50, 660, 12, "under which there is other text.")]);
    let content = content(&pages(&[open, headed]));
    assert!(
        content.ends_with("where a heading follows\n\n# a heading\n\nunder which there is other text."),
        "{content}"
    );
}

#[test]
fn columns_are_read_one_after_the_other() {
    let mut lines = vec![(50, 760, 24, "A title over both of the columns of the page")];
    for row in 0..6 {
        lines.push((50, 700 - 14 * row, 12, "left column goes on and on and on"));
        lines.push((310, 700 - 14 * row, 12, "right column goes on and on and"));
    }
    let content = content(&pages(&[text(&lines)]));
    assert!(content.starts_with("# A title over"), "{content}");
    assert!(content.rfind("left column").unwrap() < content.find("right column").unwrap(), "{content}");
}

#[test]
fn prose_in_three_level_columns_is_no_table() {
    let columns = [
        [
            "Foxes live in woods near to",
            "towns, where berries, mice",
            "and hens are to be had, and",
            "are seldom seen by day.",
        ],
        [
            "Their young are born in the",
            "spring and stay with both",
            "of their parents until they",
            "can hunt, which is in fall.",
        ],
        [
            "Nobody knows how many there",
            "are, since those who would",
            "count them are asleep while",
            "they go about their things.",
        ],
    ];
    let mut lines = Vec::new();
    for (x, column) in [50, 220, 390].into_iter().zip(columns) {
        lines.extend([700, 686, 672, 658].into_iter().zip(column).map(|(y, line)| (x, y, 10, line)));
    }
    assert_eq!(content(&pages(&[text(&lines)])), columns.map(|lines| lines.join(" ")).join("\n\n"));
}

#[test]
fn cells_that_say_as_much_as_prose_stay_in_their_rows() {
    let header = [(50, 714, 12, "Name of the thing"), (220, 714, 12, "Yield"), (350, 714, 12, "Who looks after it")];
    let mut page = text(&header);
    let mut expected = "| Name of the thing | Yield | Who looks after it |\n| --- | --- | --- |".to_owned();
    for (fruit, row) in ["apples", "pears", "plums", "cherries"].into_iter().zip(1..) {
        let (name, figure, remark) =
            (format!("Machine for {fruit}"), format!("{row}.00"), format!("the department of {fruit}"));
        let y = 714 - 18 * row;
        page.push_str(&text(&[(50, y, 12, &name), (220, y, 12, &figure), (350, y, 12, &remark)]));
        expected.push_str(&format!("\n| {name} | {figure} | {remark} |"));
    }
    page.push_str("50 710 m 500 710 l S\n");
    assert_eq!(content(&pages(&[page])), expected);
}

#[test]
fn cells_of_several_lines_stay_in_their_rows() {
    let mut page = text(&[(50, 718, 10, "Drug"), (120, 718, 10, "Given against"), (350, 718, 10, "Dose")]);
    let mut expected = "| Drug | Given against | Dose |\n| --- | --- | --- |".to_owned();
    for row in 0..4 {
        let (drug, dose, y) = (format!("Drug {row}"), format!("{row} g every eight"), 700 - 42 * row);
        page.push_str(&text(&[
            (50, y, 10, &drug),
            (120, y, 10, "Severe infections in"),
            (350, y, 10, &dose),
            (120, y - 12, 10, "adults and in children"),
            (350, y - 12, 10, "hours, slowly"),
            (120, y - 24, 10, "over twelve"),
        ]));
        let cells = format!("Severe infections in adults and in children over twelve | {dose} hours, slowly");
        expected.push_str(&format!("\n| {drug} | {cells} |"));
    }
    assert_eq!(content(&pages(&[page])), expected);
}

#[test]
fn rows_without_a_first_cell_stay_rows_where_all_are_as_far_apart() {
    let rows =
        [["North", "apples", "3.00"], ["", "pears", "4.00"], ["South", "plums", "5.00"], ["", "cherries", "6.00"]];
    let mut page = String::new();
    for (row, y) in rows.into_iter().zip([700, 688, 676, 664]) {
        for (cell, x) in row.into_iter().zip([50, 150, 250]).filter(|(cell, _)| !cell.is_empty()) {
            page.push_str(&text(&[(x, y, 10, cell)]));
        }
    }
    let expected = "| North | apples | 3.00 |\n| --- | --- | --- |\n|  | pears | 4.00 |\n| South | plums | 5.00 |\n\
                    |  | cherries | 6.00 |";
    assert_eq!(content(&pages(&[page])), expected);
}

#[test]
fn programs_keep_their_lines() {
    let prose = "What is set in letters of one width is a program, and keeps its lines and its indentation.";
    let code = [(700, 50, "fn main() {"), (688, 74, "let a = 1;"), (664, 74, "go(a);"), (652, 50, "}")];
    let code: String = code.map(|(y, x, line)| text(&[(x, y, 10, line)])).concat().replace("/F1", "/F2");
    let page = |code: &str| text(&[(50, 740, 10, prose)]) + code + &text(&[(50, 610, 10, prose)]);
    let expected = format!("{prose}\n\n```\nfn main() {{\n    let a = 1;\n\n    go(a);\n}}\n```\n\n{prose}");
    assert_eq!(content(&pages(&[page(&code)])), expected);
    // A name within the text, and a text that is typed throughout.
    let name = text(&[(50, 726, 10, "cargo")]).replace("/F1", "/F2");
    assert!(!content(&pages(&[page(&name)])).contains("```"));
    assert!(!content(&pages(&[page(&code).replace("/F1", "/F2")])).contains("```"));
}

#[test]
fn divided_words_are_whole_again() {
    let lines = [
        (50, 700, 12, "This is about infor-"),
        (50, 686, 12, "mation and well-known things, and about some well-"),
        (50, 672, 12, "known books."),
    ];
    let expected = "This is about information and well-known things, and about some well-known books.";
    assert_eq!(content(&pages(&[text(&lines)])), expected);
}

#[test]
fn running_headers_are_told_once_and_page_numbers_go() {
    let page = |number: u32| {
        let (number, body) =
            (format!("Page {number} of 5"), format!("What page {number} has to say. Total {}", 17 * number * number));
        text(&[(50, 770, 9, "Handbook of everything"), (50, 600, 12, &body), (280, 20, 9, &number)])
    };
    let two = content(&pages(&[page(1), page(2)]));
    assert_eq!((two.matches("Handbook").count(), two.contains("of 5")), (1, false), "two pages are enough: {two}");
    let content = content(&pages(&(1..=5).map(page).collect::<Vec<_>>()));
    assert!(content.starts_with("Handbook of everything\n\nWhat page 1") && !content.contains("of 5"), "{content}");
    assert_eq!(content.matches("Handbook").count(), 1, "{content}");
    assert!(content.contains("What page 3 has to say. Total 153"), "{content}");
}

#[test]
fn a_number_that_grows_with_the_pages_goes_only_where_it_is_theirs() {
    let stays = |number: u32| [format!("Invoice no. 2024-{}", 170 + number), format!("Dear client number {number},")];
    let page = |number: u32| {
        let [invoice, client] = stays(number);
        let body = format!("{} for the {number}th time.", ["Paid", "Open", "Late"][number as usize % 3]);
        let left_or_right = [format!("{number} Yearly review"), format!("Yearly review {number}")];
        text(&[
            (50, 770, 12, &invoice),
            (50, 740, 12, &client),
            (50, 600, 12, &body),
            (50, 40, 9, &format!("Annual report 2020 | {}", 16 + number)),
            (50, 20, 9, &left_or_right[number as usize % 2]),
            (300, 20, 9, &format!("Seite {number} von 6")),
            (500, 20, 9, &format!("- {number} -")),
        ])
    };
    let content = content(&pages(&(1..=6).map(page).collect::<Vec<_>>()));
    for line in (1..=6).flat_map(stays) {
        assert!(content.contains(&line), "{line}: {content}");
    }
    assert!(content.starts_with("Annual report 2020 | 17\n\nYearly review 1\n\nInvoice no. 2024-171"), "{content}");
    assert_eq!(content.matches("Annual report").count() + content.matches("review").count(), 2, "{content}");
    assert!(!content.contains("Seite") && !content.contains("- 3 -"), "{content}");
}

#[test]
fn the_rows_of_a_table_are_no_running_header() {
    let page = |number: u32| {
        let mut page = text(&[
            (50, 780, 9, "Handbook of everything"),
            (50, 740, 12, "Article"),
            (200, 740, 12, "State"),
            (350, 740, 12, "Price"),
        ]);
        for row in 1..=30 {
            let (name, price, y) =
                (format!("Thing {number}-{row}"), format!("{}.50", 17 * number * row), 740 - 18 * row);
            page.push_str(&text(&[(50, y, 12, &name), (200, y, 12, "open"), (350, y, 12, &price)]));
        }
        page
    };
    let content = content(&pages(&(1..=4).map(page).collect::<Vec<_>>()));
    assert_eq!(content.matches("Handbook").count(), 1, "{content}");
    assert_eq!(content.matches("| Article | State | Price |\n| --- | --- | --- |\n| Thing").count(), 4, "{content}");
    assert_eq!(content.matches(" | open | ").count(), 4 * 30, "{content}");
}

#[test]
fn figures_at_the_foot_of_pages_stay() {
    let page = |sum: &str| text(&[(50, 600, 12, "An invoice."), (50, 20, 12, sum)]);
    let content = content(&pages(&["Total 119.20", "Total 88.00", "Total 120.10", "Total 7.55"].map(page)));
    assert!(content.contains("Total 119.20") && content.contains("Total 7.55"), "{content}");
}

#[test]
fn pages_that_say_the_same_keep_it() {
    let content = content(&pages(&vec![text(&[(50, 700, 12, "The form is void.")]); 4]));
    assert_eq!(content.matches("The form is void.").count(), 4);
}

#[test]
fn lists_and_ruled_tables_keep_their_form() {
    let mut page = text(&[
        (50, 700, 12, "What there is to do today is this:"),
        (50, 686, 12, "1. wash the dishes"),
        (50, 672, 12, "2. read"),
        (55, 585, 12, "City"),
        (155, 585, 12, "People"),
        (55, 555, 12, "Bern"),
        (155, 555, 12, "134 000"),
    ]);
    for y in [600, 570, 540] {
        page.push_str(&format!("50 {y} m 250 {y} l S\n"));
    }
    for x in [50, 150, 250] {
        page.push_str(&format!("{x} 540 m {x} 600 l S\n"));
    }
    let expected = "What there is to do today is this:\n\n1. wash the dishes\n2. read\n\n\
                    | City | People |\n| --- | --- |\n| Bern | 134 000 |";
    assert_eq!(content(&pages(&[page])), expected);
}

#[test]
fn lettered_and_undotted_items_are_items() {
    let page = text(&[
        (50, 700, 12, "What is due follows from all of this"),
        (50, 686, 12, "1"),
        (68, 686, 12, "step one of the procedure"),
        (50, 672, 12, "2"),
        (68, 672, 12, "step two of the procedure"),
        (50, 658, 12, "\\(a\\) clause one of the contract"),
        (50, 644, 12, "\\(b\\)"),
        (75, 644, 12, "clause two of the contract, which goes"),
        (75, 630, 12, "on in a second line"),
    ]);
    let expected = "What is due follows from all of this\n\n1. step one of the procedure\n2. step two of the procedure\n\
                    - (a) clause one of the contract\n- (b) clause two of the contract, which goes on in a second line";
    assert_eq!(content(&pages(&[page])), expected);
    // Gaps that are no wider than between words.
    let page = text(&[
        (50, 700, 12, "3."),
        (68, 700, 12, "step three of the procedure"),
        (50, 686, 12, "\\(a\\)"),
        (68, 686, 12, "clause one of the contract"),
        (50, 672, 12, "\\(b\\)"),
        (68, 672, 12, "clause two of the contract"),
    ]);
    let expected = "3. step three of the procedure\n- (a) clause one of the contract\n- (b) clause two of the contract";
    assert_eq!(content(&pages(&[page])), expected);
    let page = text(&[
        (50, 700, 12, "The tenant shall do the following:"),
        (50, 686, 12, "a\\) pay the rent on the first of every"),
        (50, 672, 12, "month without being asked; and"),
        (50, 658, 12, "b\\) sweep"),
        (50, 634, 12, "§ 4 The rent is due in advance and".replace('§', "\\247").as_str()),
        (50, 620, 12, "in cash."),
        (50, 596, 12, "§ 5 Nobody else may live there.".replace('§', "\\247").as_str()),
    ]);
    let expected = "The tenant shall do the following:\n\n\
                    - a) pay the rent on the first of every month without being asked; and\n- b) sweep\n\
                    - § 4 The rent is due in advance and in cash.\n- § 5 Nobody else may live there.";
    assert_eq!(content(&pages(&[page])), expected);
}

#[test]
fn lines_of_prose_that_begin_with_a_label_are_no_items() {
    let lines = [
        "What the court has said of the notice in",
        "\\(a\\) holds for the others, as does what is in",
        "4.1 million letters of that kind under",
        "\\247 4 of the act of that year. That is all.",
    ];
    let lines: Vec<_> = [700, 686, 672, 658].into_iter().zip(lines).map(|(y, line)| (50, y, 12, line)).collect();
    let expected = "What the court has said of the notice in (a) holds for the others, as does what is in 4.1 million \
                    letters of that kind under § 4 of the act of that year. That is all.";
    assert_eq!(content(&pages(&[text(&lines)])), expected);
    let figures = [700, 686, 672].map(|y| text(&[(50, y, 12, &(y / 7).to_string()), (80, y, 12, "50")])).concat();
    assert_eq!(content(&pages(&[figures])), "100 50 98 50 96 50");
    let alone = text(&[(50, 700, 12, "\\247 4 applies, and 4.1 million letters are void.")]);
    assert_eq!(content(&pages(&[alone])), "§ 4 applies, and 4.1 million letters are void.");
}

#[test]
fn turned_pages_are_read_upright() {
    let turned = "BT /F1 12 Tf 0 1 -1 0 100 100 Tm (Written from below) Tj ET\n\
                  BT /F1 12 Tf 0 1 -1 0 114 100 Tm (in two lines.) Tj ET\n"
        .to_owned();
    assert_eq!(content(&pages(std::slice::from_ref(&turned))), "Written from below in two lines.");
    assert_eq!(content(&pdf(&[(turned, "/Rotate 90")], &[], "")), "Written from below in two lines.");
}

#[test]
fn what_takes_a_password_says_so() {
    let lock = "/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] /Encrypt << /Filter /Standard \
                /V 2 /R 3 /Length 128 /P -4 /O <0000000000000000000000000000000000000000000000000000000000000000> \
                /U <0000000000000000000000000000000000000000000000000000000000000000> >>";
    let file = pdf(&[(text(&[(50, 700, 12, "Secret")]), "")], &[], lock);
    assert_eq!(extract(&file, false).unwrap_err().kind, Kind::Encrypted);
}

#[test]
fn scanned_pages_are_named_and_blank_ones_are_not() {
    let scanned = "600 0 0 800 0 0 cm /Im Do".to_owned();
    let some = [(text(&[(50, 700, 12, "Text.")]), ""), (scanned.clone(), ""), (String::new(), "")];
    let file = pdf(&some, &[PICTURE.to_owned()], "");
    let found = extract(&file, false).unwrap();
    assert_eq!(found.metadata["pages_without_text"], serde_json::json!([2]));
    let warnings: Vec<_> = found.warnings.iter().map(|w| (w.code.as_str(), w.page)).collect();
    assert_eq!(warnings, [("no_text_layer", Some(2))]);
    let scans = extract(&file, true).unwrap().scans;
    let [scan] = scans.as_slice() else { panic!("{} scans", scans.len()) };
    assert_eq!((scan.page, scan.at), (2, "Text.".len()));
    let reader = png::Decoder::new(std::io::Cursor::new(&scan.image)).read_info().unwrap();
    assert!(reader.info().width >= 600);

    let file = pdf(&[(scanned, "")], &[PICTURE.to_owned()], "");
    assert_eq!(extract(&file, false).unwrap_err().kind, Kind::NoTextLayer);
    assert_eq!(extract(&file, true).unwrap().scans.len(), 1);
}

#[test]
fn forms_that_draw_each_other_over_and_over_end() {
    // Each draws the next eight times: 8 to the 20th in all.
    let form = |at: usize| {
        let calls = "/N Do ".repeat(8);
        format!(
            "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /N {} 0 R >> >> /Length {} >>\nstream\n{calls}\nendstream",
            101 + at,
            calls.len()
        )
    };
    let forms: Vec<String> = (0..20).map(form).collect();
    let file = pdf(&[(format!("{} /Im Do", text(&[(50, 700, 12, "Text.")])), "")], &forms, "");
    let found = extract(&file, false).unwrap();
    assert_eq!((found.content.as_str(), found.warnings[0].code.as_str()), ("Text.", "too_complex"));
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    use std::io::Write;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    (0..120).for_each(|_| packed.write_all(&zeros).unwrap());
    let mut file = pages(&[text(&[(50, 700, 12, "Text.")])]);
    file.extend_from_slice(b"\n77 0 obj\n<< /Filter /FlateDecode >>\nstream\n");
    file.extend_from_slice(&packed.finish().unwrap());
    file.extend_from_slice(b"\nendstream\nendobj\n");
    assert_eq!(extract(&file, false).unwrap_err().kind, Kind::TooComplex);
}

#[test]
fn a_part_of_a_file_is_read_or_refused() {
    let whole = pages(&[text(&[(50, 700, 12, "First.")]), text(&[(50, 700, 12, "Second.")])]);
    for length in 0..whole.len() {
        let _ = extract(&whole[..length], true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damage_is_survived(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let page = text(&[(50, 700, 12, "Some text that goes on."), (50, 686, 12, "And on.")]);
        let mut file = pdf(&[(page, ""), ("600 0 0 800 0 0 cm /Im Do".to_owned(), "")], &[PICTURE.to_owned()], "");
        for (place, byte) in changes {
            let at = place.index(file.len());
            file[at] = byte;
        }
        let _ = extract(&file, true);
    }
}
