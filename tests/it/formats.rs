//! Documents of every usual format go in, and each chunk and citation says where in the original it stands.

use serde_json::{Value, json};

use crate::client::file;
use crate::originals::{docx, package, paragraph, pdf, pptx, row, xlsx};
use crate::server::Server;
use crate::tenant::{Tenant, id};

/// Uploads a file as one document and gives the answer.
async fn upload(tenant: &Tenant, name: &str, bytes: &[u8]) -> crate::client::Answer {
    tenant.client.upload("POST", &tenant.path("/documents"), &[file(name, bytes)]).await
}

/// Uploads a file and gives the document with its content, and its chunks, of which each is a stretch of the content.
async fn taken_in(tenant: &Tenant, name: &str, bytes: &[u8]) -> (Value, Vec<Value>) {
    let document = tenant.read(&id(&upload(tenant, name, bytes).await.is(201).json())).await;
    let content = document["content"].as_str().unwrap();
    let chunks = tenant.client.pages(&tenant.path(&format!("/documents/{}/chunks?limit=200", id(&document)))).await;
    for chunk in &chunks {
        let (start, end) = (chunk["start"].as_u64().unwrap() as usize, chunk["end"].as_u64().unwrap() as usize);
        assert_eq!(content.get(start..end), chunk["content"].as_str());
    }
    (document, chunks)
}

/// The chunk that holds this text.
fn holding<'a>(chunks: &'a [Value], text: &str) -> &'a Value {
    let holds = |chunk: &&Value| chunk["content"].as_str().unwrap().contains(text);
    chunks.iter().find(holds).unwrap_or_else(|| panic!("{text} in none of {chunks:?}"))
}

#[tokio::test]
async fn a_citation_of_a_pdf_names_its_page_and_opens_there() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let bytes = pdf(&[
        &["The harbour office keeps a register of all moorings."],
        &["The lighthouse keeper winds the clock every Tuesday."],
        &["The ferry to the island leaves at half past seven."],
    ]);
    let (document, chunks) = taken_in(&tenant, "Harbour Handbook.pdf", &bytes).await;
    assert_eq!(
        (&document["content_type"], &document["title"]),
        (&json!("application/pdf"), &json!("Harbour Handbook"))
    );
    assert_eq!(document["metadata"]["page_count"], 3);
    assert_eq!(chunks[0]["page"], 1, "{chunks:?}");
    let answer = tenant.ask("When does the lighthouse keeper wind the clock?").await;
    tenant.check_citations(&answer).await;
    let citation = &answer["citations"][0];
    assert_eq!(citation["quote"], "The lighthouse keeper winds the clock every Tuesday.");
    assert_eq!(citation["location"], json!({"page": 2, "label": "page 2"}));
    assert_eq!(citation["label"], "Harbour Handbook.pdf, page 2");
    let link = format!("/workspaces/{}/documents/{}/file#page=2", tenant.workspace, id(&document));
    assert_eq!(citation["file"], link);
    let original = tenant.client.get(link.split('#').next().unwrap()).await.is(200);
    assert_eq!((original.header("content-type"), &original.bytes[..]), ("application/pdf", &bytes[..]));
    // A viewer is kept out by a sandbox.
    assert_eq!(original.header("content-security-policy"), "default-src 'none'; frame-ancestors 'self'");
    assert!(
        original.header("content-disposition").starts_with("inline; "),
        "{}",
        original.header("content-disposition")
    );
    let found = tenant.search(json!({"query": "ferry to the island", "limit": 1})).await;
    let label = found["results"][0]["location"]["label"].as_str().unwrap();
    assert!(label.contains("page"), "{found}");
}

#[tokio::test]
async fn pages_without_text_are_named_and_the_rest_goes_in() {
    let server = Server::with(&[("CARREL_INGEST_OCR_LANGUAGES", "off")]);
    let tenant = Tenant::new(&server.admin()).await;
    let mixed = pdf(&[&["The first page says something."], &[], &["So does the third page."], &[]]);
    let (document, chunks) = taken_in(&tenant, "mixed.pdf", &mixed).await;
    assert_eq!(document["metadata"]["pages_without_text"], json!([2, 4]));
    let warned: Vec<(&Value, &Value)> =
        document["warnings"].as_array().unwrap().iter().map(|w| (&w["code"], &w["page"])).collect();
    let code = json!("no_text_layer");
    assert_eq!(warned, [(&code, &json!(2)), (&code, &json!(4))]);
    assert!(document["warnings"][0]["message"].as_str().is_some_and(|message| message.contains(' ')));
    let location = holding(&chunks, "third page")["location"].clone();
    assert!(location["page"] == 3 || location["page_end"] == 3, "{location}");
    upload(&tenant, "scan.pdf", &pdf(&[&[], &[]])).await.problem(422, "no_text_layer");
    assert_eq!(tenant.document_count().await, 1);
}

#[tokio::test]
async fn a_presentation_says_its_slide_and_a_workbook_its_cells() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let (deck, chunks) =
        taken_in(&tenant, "deck.pptx", &pptx(&["Budget of the choir", "Robes were bought in May"])).await;
    assert_eq!(deck["metadata"]["slide_count"], 2);
    let location = &holding(&chunks, "Robes")["location"];
    assert!(location["slide"] == 2 || location["slide_end"] == 2, "{location}");
    let rows: String = (1..=60)
        .map(|n| {
            row(
                n,
                &match n {
                    1 => ["Pump", "Place"].map(str::to_owned),
                    n => [format!("pump number {n}"), format!("hall {n}")],
                }
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
            )
        })
        .collect();
    let (book, chunks) = taken_in(&tenant, "pumps.xlsx", &xlsx(&rows)).await;
    assert_eq!(book["metadata"]["sheet_count"], 1);
    assert!(chunks.len() > 2, "{chunks:?}");
    for chunk in &chunks {
        assert!(chunk["content"].as_str().unwrap().contains("| Pump | Place |"), "a header above every row: {chunk}");
    }
    let last = &holding(&chunks, "pump number 60 ")["location"];
    assert_eq!(last["sheet"], "Pumps");
    let cells = last["cells"].as_str().unwrap();
    assert!(cells.starts_with('A') && cells.ends_with(":B60"), "{cells}");
}

#[tokio::test]
async fn the_structure_of_a_word_document_survives() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", paragraph(None, text));
    let line = |cells: &[&str]| format!("<w:tr>{}</w:tr>", cells.iter().map(|text| cell(text)).collect::<String>());
    let body = [
        paragraph(Some("Heading1"), "Night duty"),
        paragraph(None, "Whoever is on duty carries the telephone."),
        paragraph(Some("Heading2"), "Keys"),
        format!("<w:tbl>{}{}</w:tbl>", line(&["Door", "Key"]), line(&["Cellar", "K-17"])),
    ];
    let (document, chunks) = taken_in(&tenant, "duty.docx", &docx(&body.concat())).await;
    let expected = "# Night duty\n\nWhoever is on duty carries the telephone.\n\n## Keys\n\n| Door | Key |\n| --- | --- |\n| Cellar | K-17 |";
    assert_eq!(document["content"], expected);
    assert_eq!(holding(&chunks, "Cellar")["heading_path"], json!(["Night duty", "Keys"]));
    let kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    assert_eq!(document["content_type"], kind);
    let original = tenant.client.get(&tenant.path(&format!("/documents/{}/file", id(&document)))).await.is(200);
    assert_eq!(original.header("content-type"), kind);
    assert!(original.header("content-disposition").starts_with("attachment; "));
}

#[tokio::test]
async fn a_table_longer_than_a_chunk_says_its_header_again_wherever_it_came_from() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let rows: Vec<(u32, String)> = (2..200).map(|n| (n, format!("berth {n}"))).collect();
    let csv: String = rows.iter().map(|(n, name)| format!("{n},{name},free\n")).collect();
    let (_, chunks) = taken_in(&tenant, "berths.csv", format!("Number,Berth,State\n{csv}").as_bytes()).await;
    assert!(chunks.len() > 5);
    assert!(chunks.iter().all(|chunk| chunk["content"].as_str().unwrap().contains("| Number | Berth | State |")));
    let location = &holding(&chunks, "| berth 150 |")["location"];
    let (first, last) = (location["row"].as_u64().unwrap(), location["row_end"].as_u64().unwrap());
    assert!(first <= 150 && 150 <= last && last - first < 60, "{location}");
    let wide = "Order ID,Customer Name,Order Date,Ship Date,Ship Mode,City,Region,Category,Product Name,Sales,Quantity,Discount,Profit";
    let row = |n: u32| format!("{n},Ada Brandt,2024-01-02,2024-01-05,First,Oslo,North,Paper,Pad,12.50,3,0.1,4.20\n");
    let csv = format!("{wide}\n{}", (1..200).map(row).collect::<String>());
    let (_, chunks) = taken_in(&tenant, "orders.csv", csv.as_bytes()).await;
    assert!(chunks.len() > 10);
    assert!(chunks.iter().all(|chunk| chunk["content"].as_str().unwrap().contains("| Order ID |")), "{chunks:?}");
    let markdown: String = rows.iter().map(|(n, name)| format!("| {n} | {name} |\n")).collect();
    let text = format!("# Berths\n\n| Number | Berth |\n| --- | --- |\n{markdown}\nThe end of the berths.\n");
    let (_, chunks) = taken_in(&tenant, "berths.md", text.as_bytes()).await;
    let in_table = chunks.iter().filter(|chunk| chunk["content"].as_str().unwrap().contains("| berth"));
    assert!(in_table.clone().count() > 5);
    assert!(
        in_table.clone().all(|chunk| chunk["content"].as_str().unwrap().contains("| Number | Berth |")),
        "{chunks:?}"
    );
}

#[tokio::test]
async fn programs_and_texts_say_their_lines() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let functions = (0..40).map(|n| format!("fn step_{n}(valve: u32) -> u32 {{\n    valve + {n}\n}}\n"));
    let code = functions.collect::<Vec<_>>().join("\n");
    let (document, chunks) = taken_in(&tenant, "src/steps.rs", code.as_bytes()).await;
    assert_eq!(document["content"], code, "to the byte");
    let chunk = holding(&chunks, "fn step_30(");
    let (first, last) = (
        chunk["location"]["line"].as_u64().unwrap() as usize,
        chunk["location"]["line_end"].as_u64().unwrap() as usize,
    );
    let lines: Vec<&str> = code.lines().collect();
    assert_eq!(lines[first - 1..last].join("\n"), chunk["content"]);
    assert!(chunk["content"].as_str().unwrap().starts_with("fn "), "cut between functions: {chunk}");
}

#[tokio::test]
async fn text_in_any_usual_encoding_is_read() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let german = "Die Größe der Maßstäbe hängt von der Prüfungsordnung ab, sagt der Fußgänger.";
    let japanese = "面会時間は午後二時から午後八時までです。受付で名札を受け取ってください。";
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    for (name, text, bytes) in [
        ("latin.txt", german, encoding_rs::WINDOWS_1252.encode(german).0.into_owned()),
        ("shift.txt", japanese, encoding_rs::SHIFT_JIS.encode(japanese).0.into_owned()),
        ("wide.txt", german, utf16(german)),
        ("marked.txt", german, [&b"\xEF\xBB\xBF"[..], german.as_bytes()].concat()),
    ] {
        let (document, _) = taken_in(&tenant, name, &bytes).await;
        assert_eq!(document["content"], text, "{name}");
    }
}

#[tokio::test]
async fn a_message_brings_its_attachment_and_its_sender() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let message = "From: Kim Berger <kim@example.com>\r\nTo: all@example.com\r\nSubject: The boiler\r\n\
        Date: Tue, 3 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThe boiler was repaired today.\r\n\
        --b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=parts.csv\r\n\r\nPart,Price\r\nGasket,17\r\n\
        --b--\r\n";
    let (document, _) = taken_in(&tenant, "boiler.eml", message.as_bytes()).await;
    assert_eq!((&document["title"], &document["content_type"]), (&json!("The boiler"), &json!("message/rfc822")));
    let content = document["content"].as_str().unwrap();
    assert!(content.contains("repaired today") && content.contains("| Gasket | 17 |"), "{content}");
    assert!(document["metadata"]["author"].as_str().unwrap().contains("Kim Berger"));
    let listed = tenant.client.get(&tenant.path("/documents?metadata.author=nobody")).await.is(200).json();
    assert_eq!(listed["total"], 0);
}

#[tokio::test]
async fn documents_are_found_by_their_own_properties_and_by_each_of_their_keywords() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let lease = package(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        (
            "content.xml",
            "<c><office:body><office:text><text:p>The lease of the mill.</text:p></office:text></office:body></c>",
        ),
        (
            "meta.xml",
            "<m><meta:keyword>lease</meta:keyword><meta:keyword>mill</meta:keyword>\
             <meta:user-defined meta:name='Case'>12 O 34/24</meta:user-defined>\
             <meta:user-defined meta:name='ingest_folder'>forged</meta:user-defined></m>",
        ),
    ]);
    let (document, _) = taken_in(&tenant, "lease.odt", &lease).await;
    assert_eq!(document["metadata"], json!({"keywords": ["lease", "mill"], "Case": "12 O 34/24"}));
    for (query, total) in [("keywords=mill", 1), ("Case=12%20O%2034/24", 1), ("keywords=tide", 0)] {
        let listed = tenant.client.get(&tenant.path(&format!("/documents?metadata.{query}"))).await.is(200).json();
        assert_eq!(listed["total"], total, "{query}");
    }
}

#[tokio::test]
async fn an_attachment_is_cited_with_its_name_and_page() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let attached = pdf(&[
        &["The lighthouse keeper winds the clock every Tuesday."],
        &["The ferry to the island leaves at half past seven."],
    ]);
    let head = "From: Kim Berger <kim@example.com>\r\nSubject: The harbour\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=frontier\r\n\r\n\
        --frontier\r\nContent-Type: text/html\r\n\r\n<h1>Greetings</h1><p>Everything is attached.</p>\r\n\
        --frontier\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=two.pdf\r\n\
        Content-Transfer-Encoding: binary\r\n\r\n";
    let mail = [head.as_bytes(), &attached, b"\r\n--frontier--\r\n"].concat();
    let (_, chunks) = taken_in(&tenant, "letters/att.eml", &mail).await;
    let own = holding(&chunks, "Everything is attached");
    assert_eq!((&own["location"], &own["heading_path"]), (&Value::Null, &json!(["The harbour", "Greetings"])));
    let chunk = holding(&chunks, "ferry");
    let path: Vec<&str> = chunk["heading_path"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(path.starts_with(&["The harbour", "Attachment: two.pdf"]), "{path:?}");
    let location = &chunk["location"];
    assert_eq!(location["attachment"], "two.pdf");
    assert!(location["page"] == 2 || location["page_end"] == 2, "{location}");
    assert_eq!(chunk["page"], Value::Null, "the mail has no pages");
    let answer = tenant.ask("When does the ferry to the island leave?").await;
    tenant.check_citations(&answer).await;
    let citation = &answer["citations"][0];
    let second = json!({"attachment": "two.pdf", "page": 2, "label": "two.pdf, page 2"});
    assert_eq!((&citation["location"], &citation["label"]), (&second, &json!("att.eml › two.pdf, page 2")));
    assert!(citation["file"].as_str().unwrap().ends_with("/file"), "{citation}");
}

#[tokio::test]
async fn content_beats_the_name_that_a_file_came_with() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let (document, _) = taken_in(&tenant, "wrong.docx", &pdf(&[&["A page in the wrong clothes."]])).await;
    assert_eq!(document["content_type"], "application/pdf");
    let (document, _) = taken_in(&tenant, "wrong.pdf", &docx(&paragraph(None, "A letter in the wrong clothes."))).await;
    assert!(document["content"].as_str().unwrap().contains("wrong clothes"));
    let inner = package(&[("letters/one.txt", "The first letter.")]);
    let answer = upload(&tenant, "letters", &inner).await;
    assert!(answer.problem(415, "unsupported_media_type")["detail"].as_str().unwrap().contains("ingest"));
    // As a job it is what it is, whatever it is called.
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &[file("letters", &inner)]).await.is(202).json();
    let job = tenant.finished(&id(&job)).await;
    assert_eq!((&job["done"], &job["failed"]), (&json!(1), &json!(0)), "{job}");
    let found = tenant.search(json!({"query": "the first letter", "search_type": "fulltext"})).await;
    assert_eq!(found["results"][0]["document_source"], "letters/one.txt");
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let locked = "<< /Filter /Standard /V 1 /R 2 /O (01234567890123456789012345678901) /U (01234567890123456789012345678901) /P -4 >>";
    let text = "<< /Length 44 >>\nstream\nBT /F1 12 Tf 72 720 Td (cannot be read) Tj ET\nendstream";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << >> >>",
        text,
        locked,
    ];
    let trailer = "/Encrypt 5 0 R /ID [(0123456789012345) (0123456789012345)]";
    let encrypted = crate::originals::written(&objects.map(str::to_owned), trailer);
    let detail = upload(&tenant, "locked.pdf", &encrypted).await.problem(422, "encrypted")["detail"].clone();
    assert!(detail.as_str().unwrap().contains("password"), "{detail}");
    let whole = docx(&paragraph(None, &"Something to be lost. ".repeat(400)));
    upload(&tenant, "half.docx", &whole[..whole.len() / 2]).await.problem(422, "damaged");
    upload(&tenant, "broken.pdf", b"%PDF-1.7\nnothing of the kind").await.problem(422, "damaged");
    upload(&tenant, "program.exe", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0")
        .await
        .problem(415, "unsupported_media_type");
    assert_eq!(tenant.document_count().await, 0);
}

#[tokio::test]
async fn what_is_called_an_archive_is_read_as_what_it_is() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let report = docx(&paragraph(None, "The report is a document."));
    let parts = [file("report.zip", &report)];
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &parts).await.is(202).json();
    let job = tenant.finished(&id(&job)).await;
    assert_eq!((&job["total"], &job["done"], &job["failed"]), (&json!(1), &json!(1), &json!(0)), "{job}");
    let list = tenant.client.get(&tenant.path("/documents")).await.is(200).json();
    assert_eq!(list["documents"][0]["source"], "report.zip");
    let mbox = "From a@x Mon Jan  1 00:00:00 2024\nSubject: One\n\nThe first.\n\nFrom a@x Mon Jan  1 00:00:00 2024\nSubject: Two\n\nThe second.\n";
    let zip = package(&[("box\\mail.mbox", mbox), ("notes.txt", "Beside it.")]);
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &[file("all.zip", &zip)]).await.is(202).json();
    let job = tenant.finished(&id(&job)).await;
    assert_eq!((&job["done"], &job["failed"]), (&json!(3), &json!(0)), "{job}");
    let list = tenant.client.get(&tenant.path("/documents?sort=source")).await.is(200).json();
    let sources: Vec<&str> =
        list["documents"].as_array().unwrap().iter().filter_map(|row| row["source"].as_str()).collect();
    assert!(sources.contains(&"box/mail.mbox/00001.eml") && sources.contains(&"notes.txt"), "{sources:?}");
}

#[tokio::test]
async fn names_in_an_archive_are_read_in_the_encoding_they_are_in() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let names = ["議事録.txt", "会議/見積書_2024.txt"];
    // Names of as many bytes stand in for those that the writer would mark as UTF-8.
    let mut zip = package(&[("AAAAAA.txt", "The minutes."), ("BBBB/CCCCCC_2024.txt", "The offer.")]);
    for (stand_in, name) in [("AAAAAA.txt", names[0]), ("BBBB/CCCCCC_2024.txt", names[1])] {
        let name = encoding_rs::SHIFT_JIS.encode(name).0.into_owned();
        assert_eq!(name.len(), stand_in.len());
        while let Some(at) = zip.windows(name.len()).position(|bytes| bytes == stand_in.as_bytes()) {
            zip[at..at + name.len()].copy_from_slice(&name);
        }
    }
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &[file("japan.zip", &zip)]).await.is(202).json();
    assert_eq!(tenant.finished(&id(&job)).await["done"], 2);
    let list = tenant.client.get(&tenant.path("/documents?sort=source")).await.is(200).json();
    let mut sources: Vec<&str> =
        list["documents"].as_array().unwrap().iter().filter_map(|row| row["source"].as_str()).collect();
    sources.sort_unstable();
    assert_eq!(sources, [names[1], names[0]]);
}
