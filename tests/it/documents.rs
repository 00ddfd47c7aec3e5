//! Documents: taken in as JSON or multipart, cut into chunks that reproduce them, replaced and deleted whole.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{field, file};
use crate::handbook::HANDBOOK;
use crate::server::Server;
use crate::tenant::{Tenant, id};

/// The chunks of a document, all pages.
async fn chunks(tenant: &Tenant, document: &str) -> Vec<Value> {
    tenant.client.pages(&tenant.path(&format!("/documents/{document}/chunks?limit=50"))).await
}

/// Asserts that each chunk stands at its offsets, in order, fits the model's window, and that none of the text is lost.
async fn check_chunks(tenant: &Tenant, document: &str) -> Vec<Value> {
    let row = tenant.read(document).await;
    let content = row["content"].as_str().unwrap();
    let chunks = chunks(tenant, document).await;
    assert_eq!(row["chunk_count"], chunks.len());
    let mut covered = vec![false; content.len()];
    for (place, chunk) in chunks.iter().enumerate() {
        let (start, end) = (chunk["start"].as_u64().unwrap() as usize, chunk["end"].as_u64().unwrap() as usize);
        assert_eq!(content.get(start..end), chunk["content"].as_str(), "chunk {place}");
        assert_eq!((&chunk["index"], &chunk["document_id"]), (&json!(place), &json!(document)));
        let tokens = chunk["token_count"].as_u64().unwrap();
        assert!((1..=254).contains(&tokens), "{tokens} tokens in chunk {place}");
        covered[start..end].fill(true);
    }
    let lost: String = content.char_indices().filter(|(at, _)| !covered[*at]).map(|(_, c)| c).collect();
    assert!(!lost.chars().any(char::is_alphanumeric) || lost.len() < content.len() / 10, "not in any chunk: {lost}");
    chunks
}

#[tokio::test]
async fn json_goes_in_and_is_searchable_when_answered() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let body = json!({"title": "Kettles", "source": "kettles.md", "content": "The copper kettle whistles at noon.",
        "metadata": {"team": "kitchen", "year": 2024}});
    let created = tenant.client.post(&tenant.path("/documents"), &body).await.is(201);
    let row = created.json();
    assert_eq!((&row["title"], &row["source"]), (&json!("Kettles"), &json!("kettles.md")));
    assert_eq!(row["metadata"], body["metadata"]);
    assert_eq!(row.get("content"), None);
    let found = tenant.search(json!({"query": "copper kettle"})).await;
    assert_eq!(found["results"][0]["document_id"], row["id"]);
    let read = tenant.client.get(created.header("location")).await.is(200).json();
    assert_eq!(read["content"], body["content"]);
    assert_eq!(read["id"], row["id"]);
}

#[tokio::test]
async fn chunks_reproduce_the_document_to_the_byte() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let german = "Über die Größe der Maßstäbe entscheidet die Prüfungsordnung für Fußgängerüberwege. ".repeat(60);
    let japanese = "面会時間は午後二時から午後八時までです。受付で名札を受け取ってください。".repeat(60);
    let emoji = "Wir feiern 🎉 mit Käse 🧀, Tee 🍵 und der Familie 👨‍👩‍👧‍👦 im Garten. ".repeat(60);
    let unbroken = "x".repeat(9000);
    let windows = "First line.\r\n\r\nSecond paragraph, with a\ttab.\r\n\r\n\r\nThird.\r\n".repeat(30);
    let markdown = format!(
        "# Eins\n\n{german}\n\n## Zwei\n\n{japanese}\n\n```rust\nfn main() {{}}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n### Drei\n\n{emoji}\n"
    );
    for (kind, text) in [
        ("text/plain", german),
        ("text/plain", japanese),
        ("text/plain", emoji),
        ("text/plain", unbroken),
        ("text/plain", windows.clone()),
        ("text/markdown", windows),
        ("text/markdown", markdown),
        ("text/plain", "a".to_owned()),
    ] {
        let body = json!({"content": text, "content_type": kind});
        let row = tenant.client.post(&tenant.path("/documents"), &body).await.is(201).json();
        assert_eq!(tenant.read(&id(&row)).await["content"], text);
        check_chunks(&tenant, &id(&row)).await;
    }
}

#[tokio::test]
async fn headings_lead_to_each_chunk() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = "# Safety\n\n## Fire\n\nThe alarm sounds twice.\n\n### Exits\n\nUse the stairs.\n\n## Water\n\nClose the main valve.\n";
    let row = tenant.document("safety.md", text).await;
    let chunks = check_chunks(&tenant, &id(&row)).await;
    let path_of = |words: &str| {
        let chunk = chunks.iter().find(|chunk| chunk["content"].as_str().unwrap().contains(words)).unwrap();
        chunk["heading_path"].clone()
    };
    assert_eq!(path_of("Use the stairs"), json!(["Safety", "Fire", "Exits"]));
    assert_eq!(path_of("Close the main valve"), json!(["Safety", "Water"]));
}

#[tokio::test]
async fn code_and_tables_stay_whole_where_they_fit() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let code = "```python\ndef area(width, height):\n\n    # first the check\n\n    assert width > 0\n\n    return width * height\n```";
    let table = "| Month | Guests |\n|---|---|\n| March | 12 |\n| April | 40 |\n| May | 7 |";
    let filler = "The caretaker walks around the house once every evening and notes what is broken. ".repeat(25);
    let text = format!("# Manual\n\n{filler}\n\n{code}\n\n{filler}\n\n{table}\n\n{filler}\n");
    let row = tenant.document("manual.md", &text).await;
    let chunks = check_chunks(&tenant, &id(&row)).await;
    for whole in [code, table] {
        assert!(chunks.iter().any(|chunk| chunk["content"].as_str().unwrap().contains(whole)), "{whole}");
    }
}

#[tokio::test]
async fn front_matter_gives_title_and_metadata() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = "---\ntitle: Lab rules\ndepartment: chemistry\ntags: [safety, lab]\n---\n\n# Rules\n\nGoggles are worn at all times.\n";
    let parts = [file("rules.md", text.as_bytes()).of("text/markdown")];
    let row = tenant.client.upload("POST", &tenant.path("/documents"), &parts).await.is(201).json();
    assert_eq!((&row["title"], &row["source"]), (&json!("Lab rules"), &json!("rules.md")));
    assert_eq!(
        (&row["metadata"]["department"], &row["metadata"]["tags"]),
        (&json!("chemistry"), &json!(["safety", "lab"]))
    );
    check_chunks(&tenant, &id(&row)).await;

    let parts = [
        file("rules.md", text.as_bytes()),
        field("title", "Said by the sender"),
        field("source", "elsewhere.md"),
        field("metadata", r#"{"department": "physics"}"#),
    ];
    let row = tenant.client.upload("POST", &tenant.path("/documents"), &parts).await.is(201).json();
    assert_eq!((&row["title"], &row["source"]), (&json!("Said by the sender"), &json!("elsewhere.md")));
    assert_eq!(row["metadata"]["department"], "physics");
}

#[tokio::test]
async fn html_becomes_text_without_its_tags_and_scripts() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let html = "<!doctype html><html><head><title>Opening hours</title><style>p{color:red}</style>\
        <script>steal('cookies')</script></head><body><h1>Museum</h1><h2>Hours</h2><p>Open from <b>nine</b> to five &amp; on \
        Sundays.</p><ul><li>Tickets at the door</li></ul><script>alert(1)</script></body></html>";
    let row = tenant
        .client
        .upload("POST", &tenant.path("/documents"), &[file("hours.html", html.as_bytes())])
        .await
        .is(201)
        .json();
    assert_eq!(row["title"], "Opening hours");
    let content = tenant.read(&id(&row)).await["content"].as_str().unwrap().to_owned();
    assert!(content.contains("five & on Sundays") && content.contains("Tickets at the door"), "{content}");
    for gone in ["<p", "steal", "alert", "color:red"] {
        assert!(!content.contains(gone), "{gone} in {content}");
    }
    let chunks = check_chunks(&tenant, &id(&row)).await;
    assert!(chunks.iter().any(|chunk| chunk["heading_path"] == json!(["Museum", "Hours"])), "{chunks:?}");
}

#[tokio::test]
async fn other_formats_are_refused_whatever_they_are_called() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let program = b"MZ\x90\0\x03\0\0\0".as_slice();
    let film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".as_slice();
    let files = [
        ("program.exe", program),
        ("program.md", program),
        ("program.pdf", program),
        ("film.mp4", film),
        ("film.txt", film),
        ("data.sqlite", b"SQLite format 3\0\x10\0".as_slice()),
        ("sound.mp3", b"ID3\x03\0\0\0\0\0\x01\0".as_slice()),
        ("zeros.txt", b"text\0with\0zeros".as_slice()),
    ];
    for (name, bytes) in files {
        let answer = tenant.client.upload("POST", &tenant.path("/documents"), &[file(name, bytes)]).await;
        assert_eq!(answer.status, 415, "{name}: {}", answer.text());
        answer.problem(415, "unsupported_media_type");
    }
    let body = json!({"content": "hello", "content_type": "video/mp4"});
    tenant.client.post(&tenant.path("/documents"), &body).await.problem(415, "unsupported_media_type");
    assert_eq!(tenant.document_count().await, 0);
}

#[tokio::test]
async fn text_goes_in_whatever_it_is_called_and_in_whatever_encoding() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let utf16: Vec<u8> = "The lock opens at six.".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (name, bytes, expected, encoding) in [
        ("latin1.txt", b"caf\xe9 au lait".as_slice(), "café au lait", Some("windows-1252")),
        ("wide.txt", &utf16, "The lock opens at six.", Some("utf-16be")),
        ("letter.docx", b"just some text", "just some text", None),
        ("paper.pdf", b"no paper at all", "no paper at all", None),
    ] {
        let row = tenant.client.upload("POST", &tenant.path("/documents"), &[file(name, bytes)]).await.is(201).json();
        assert_eq!(tenant.read(&id(&row)).await["content"], expected, "{name}");
        assert_eq!(row["metadata"]["encoding"].as_str(), encoding, "{name}");
    }
}

#[tokio::test]
async fn tables_and_messages_become_markdown() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let mail = b"Subject: Pumps\r\nFrom: Kim <kim@example.com>\r\nMIME-Version: 1.0\r\n\r\nPump B stands still.\r\n";
    for (name, bytes, expected) in [
        ("hours.csv", b"Pump;Hours\nA;9870\n".as_slice(), "| A | 9870 |"),
        ("pumps.json", br#"{"pumps": [{"name": "A", "hours": 9870}, {"name": "B", "hours": 12}]}"#, "| B | 12 |"),
        ("pumps.xml", b"<pumps><pump id='7'>Pump <b>A</b> runs.</pump></pumps>", "Pump A runs."),
        ("pumps.eml", mail, "From: Kim <kim@example.com>\n\nPump B stands still."),
    ] {
        let row = tenant.client.upload("POST", &tenant.path("/documents"), &[file(name, bytes)]).await.is(201).json();
        let document = tenant.read(&id(&row)).await;
        let content = document["content"].as_str().unwrap();
        assert!(content.contains(expected), "{name}: {content}");
        check_chunks(&tenant, &id(&row)).await;
    }
}

#[tokio::test]
async fn emptiness_is_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for (name, bytes) in [("empty.txt", b"".as_slice()), ("blank.md", b" \n\t \n")] {
        tenant
            .client
            .upload("POST", &tenant.path("/documents"), &[file(name, bytes)])
            .await
            .problem(422, "validation_failed");
    }
    for content in ["", "   \n"] {
        tenant
            .client
            .post(&tenant.path("/documents"), &json!({"content": content}))
            .await
            .problem(422, "validation_failed");
    }
    assert_eq!(tenant.document_count().await, 0);
}

#[tokio::test]
async fn the_same_source_replaces_and_the_same_bytes_change_nothing() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let first = tenant.document("menu.md", "On Monday there is barley soup.").await;
    let body = json!({"source": "menu.md", "content": "On Monday there is barley soup."});
    let again = tenant.client.post(&tenant.path("/documents"), &body).await.is(200).json();
    assert_eq!((&again["unchanged"], &again["id"]), (&json!(true), &first["id"]));
    assert_eq!(again["updated_at"], first["updated_at"]);

    let second = tenant
        .client
        .post(&tenant.path("/documents"), &json!({"source": "menu.md", "content": "On Monday there is pumpkin pie."}))
        .await;
    assert!([200, 201].contains(&second.status), "{}", second.text());
    let second = second.json();
    assert_ne!(second["content_hash"], first["content_hash"]);
    assert_eq!(tenant.document_count().await, 1);
    let found = tenant.search(json!({"query": "barley soup", "search_type": "fulltext"})).await.to_string();
    assert!(!found.contains("barley"), "{found}");
    let found = tenant.search(json!({"query": "pumpkin pie", "search_type": "fulltext"})).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);
    check_chunks(&tenant, &id(&second)).await;
}

#[tokio::test]
async fn a_document_put_keeps_its_id_and_loses_its_old_text() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let row = tenant.document("menu.md", "On Monday there is barley soup.").await;
    let path = tenant.path(&format!("/documents/{}", id(&row)));
    let changed = tenant.client.put(&path, &json!({"content": "On Monday there is pumpkin pie."})).await.is(200).json();
    assert_eq!((&changed["id"], &changed["source"]), (&row["id"], &json!("menu.md")));
    assert_eq!(changed["created_at"], row["created_at"]);
    assert!(changed["updated_at"].as_str() > row["updated_at"].as_str());
    assert_eq!(tenant.read(&id(&row)).await["content"], "On Monday there is pumpkin pie.");
    let found = tenant.search(json!({"query": "barley soup"})).await.to_string();
    assert!(!found.contains("barley"), "{found}");
    let absent = tenant.path(&format!("/documents/{}", Uuid::now_v7()));
    tenant.client.put(&absent, &json!({"content": "x"})).await.problem(404, "not_found");
    assert_eq!(tenant.document_count().await, 1);
}

#[tokio::test]
async fn a_deleted_document_leaves_neither_hits_nor_file() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let row = tenant.document("secret.md", "The vault code is hippopotamus seven.").await;
    let originals = || {
        let files = server.home().workspace(&tenant.workspace).join("files");
        let entries = walkdir::WalkDir::new(files).into_iter().flatten().filter(|e| e.file_type().is_file());
        entries.filter(|e| std::fs::read_to_string(e.path()).unwrap().contains("hippopotamus")).count()
    };
    assert_eq!(originals(), 1);
    let path = tenant.path(&format!("/documents/{}", id(&row)));
    let gone = tenant.client.delete(&path).await.is(200).json();
    let expected = json!({"status": "success", "message": "Document deleted", "document_id": row["id"],
        "chunks_deleted": row["chunk_count"]});
    assert_eq!(gone, expected);
    assert_eq!(originals(), 0);
    for search_type in ["vector", "fulltext", "hybrid"] {
        let found = tenant.search(json!({"query": "vault code hippopotamus", "search_type": search_type})).await;
        assert!(!found.to_string().contains("vault code is"), "{found}");
    }
    for rest in ["", "/chunks", "/file"] {
        tenant.client.get(&format!("{path}{rest}")).await.problem(404, "not_found");
    }
    tenant.client.delete(&path).await.problem(404, "not_found");
    assert_eq!(tenant.document_count().await, HANDBOOK.len() as u64);
}

#[tokio::test]
async fn two_documents_with_the_same_bytes_share_no_fate() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let one = tenant.document("one.md", "The same bytes in both.").await;
    let two = tenant.document("two.md", "The same bytes in both.").await;
    assert_ne!(one["id"], two["id"]);
    tenant.client.delete(&tenant.path(&format!("/documents/{}", id(&one)))).await.is(200);
    let file = tenant.client.get(&tenant.path(&format!("/documents/{}/file", id(&two)))).await.is(200);
    assert_eq!(file.bytes, b"The same bytes in both.");
    let found = tenant.search(json!({"query": "same bytes"})).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_file_is_the_original_and_never_runs() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let html = b"\xef\xbb\xbf<html><body><script>alert(1)</script><p>Gr\xc3\xbc\xc3\x9fe\r\n</p></body></html>";
    let row = tenant
        .client
        .upload("POST", &tenant.path("/documents"), &[file("gr\u{fc}\u{df}e.html", html)])
        .await
        .is(201)
        .json();
    let answer = tenant.client.get(&tenant.path(&format!("/documents/{}/file", id(&row)))).await.is(200);
    assert_eq!(answer.bytes, html);
    assert!(answer.header("content-disposition").starts_with("attachment"), "{:?}", answer.headers);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let row = tenant.document("plain.md", "# As it was sent\r\n").await;
    let answer = tenant.client.get(&tenant.path(&format!("/documents/{}/file", id(&row)))).await.is(200);
    assert_eq!(answer.bytes, b"# As it was sent\r\n");
}

#[tokio::test]
async fn the_list_is_filtered_and_paged() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for number in 0..5 {
        let team = if number % 2 == 0 { "north" } else { "south" };
        let body = json!({"title": format!("Report {number}"), "source": format!("r{number}.md"),
            "content": "Text.", "metadata": {"team": team, "number": number}});
        tenant.client.post(&tenant.path("/documents"), &body).await.is(201);
    }
    let list = async |query: &str| tenant.client.get(&tenant.path(&format!("/documents?{query}"))).await.is(200).json();
    let sources = |list: &Value| -> Vec<String> {
        let rows = list["documents"].as_array().unwrap();
        let mut sources: Vec<String> = rows.iter().map(|row| row["source"].as_str().unwrap().to_owned()).collect();
        sources.sort();
        sources
    };
    let north = list("metadata.team=north").await;
    assert_eq!((sources(&north), &north["total"]), (vec!["r0.md".into(), "r2.md".into(), "r4.md".into()], &json!(3)));
    assert_eq!(sources(&list("metadata.team=north&metadata.number=2").await), ["r2.md"]);
    assert_eq!(sources(&list("q=report%203").await), ["r3.md"]);
    assert_eq!(sources(&list("q=nothing-like-this").await), Vec::<String>::new());
    assert_eq!(sources(&list("metadata.team=%27%20OR%201%3D1%20--").await), Vec::<String>::new());

    let mut paged = Vec::new();
    for offset in [0, 2, 4] {
        let page = list(&format!("limit=2&offset={offset}")).await;
        assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(5), &json!(2), &json!(offset)));
        assert!(page["documents"].as_array().unwrap().iter().all(|row| row.get("content").is_none()));
        paged.extend(sources(&page));
    }
    paged.sort();
    assert_eq!(paged, ["r0.md", "r1.md", "r2.md", "r3.md", "r4.md"]);
    tenant.client.get(&tenant.path("/documents?limit=201")).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn a_list_takes_only_so_many_conditions() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let conditions: Vec<String> = (0..1200).map(|n| format!("metadata.k{n}=1")).collect();
    let path = tenant.path(&format!("/documents?{}", conditions.join("&")));
    tenant.client.get(&path).await.problem(422, "validation_failed");
    let values: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let metadata: serde_json::Map<String, serde_json::Value> =
        (0..32).map(|n| (format!("k{n}"), json!({"$in": values}))).collect();
    let body = json!({"query": "kettles", "filters": {"metadata": metadata}});
    tenant.client.post(&tenant.path("/search"), &body).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn a_list_is_searched_in_any_case_of_any_script() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("ärzte.md", "# Liste der ÄRZTE\n\nWer wann da ist.").await;
    for q in ["%C3%84RZTE", "%C3%A4rzte", "liste+der+%C3%A4"] {
        let found = tenant.client.get(&tenant.path(&format!("/documents?q={q}"))).await.is(200).json();
        assert_eq!(found["total"], 1, "{q}");
    }
}

/// The sources of the documents that a list shows, in its order.
async fn listed(tenant: &Tenant, query: &str) -> Vec<String> {
    let list = tenant.client.get(&tenant.path(&format!("/documents?{query}"))).await.is(200).json();
    list["documents"].as_array().unwrap().iter().map(|row| row["source"].as_str().unwrap().to_owned()).collect()
}

/// Four documents with front matter, and one without.
async fn shelf() -> (std::sync::Arc<Server>, Tenant) {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for (source, content) in [
        (
            "d.md",
            "---\ntitle: Delta\nyear: 2019\ndate: 2024-03-01\ntags: [soup, bread]\nauthor: {name: Ada}\n---\nOne.",
        ),
        (
            "c.md",
            "---\ntitle: alpha\nyear: 2024\ndate: 2023-11-30\ntags: [pie]\nauthor: {name: bob}\n---\nTwo, and long.",
        ),
        ("b.md", "---\ntitle: Beta\nyear: 2021\ndate: 2025-01-01\ntags: [tea]\nauthor.name: Zoe\n---\nThree."),
        ("a.md", "---\ntitle: gamma\nyear: '2020'\n---\nFour."),
        ("none.md", "Nothing is said of this one, at some length."),
    ] {
        tenant.document(source, content).await;
    }
    (server, tenant)
}

#[tokio::test]
async fn a_list_is_sorted_by_what_is_asked_for() {
    let (_server, tenant) = shelf().await;
    for (query, expected) in [
        ("", "none a b c d"),
        ("sort=created_at", "d c b a none"),
        ("sort=-created_at", "none a b c d"),
        ("sort=source", "a b c d none"),
        ("sort=-source", "none d c b a"),
        ("sort=title", "c b d a none"),
        ("sort=metadata.date", "c d b a none"),
        ("sort=-metadata.date", "b d c none a"),
        ("sort=metadata.tags", "c d b a none"),
        ("sort=metadata.author.name", "d c b a none"),
        // Numbers come before the text that looks like one.
        ("sort=metadata.year", "d b c a none"),
        ("sort=metadata.nothing", "d c b a none"),
        ("sort=metadata.nothing..", "d c b a none"),
        ("sort=source&limit=2&offset=1", "b c"),
    ] {
        let expected: Vec<String> = expected.split(' ').map(|name| format!("{name}.md")).collect();
        assert_eq!(listed(&tenant, query).await, expected, "{query}");
    }
    assert_eq!(listed(&tenant, "sort=-size_bytes&limit=1").await, ["c.md"]);
    tenant.document("d.md", "---\ntitle: Delta\n---\nOne, changed.").await;
    assert_eq!(listed(&tenant, "sort=-updated_at&limit=1").await, ["d.md"]);
    let problem = tenant.client.get(&tenant.path("/documents?sort=name")).await.problem(422, "validation_failed");
    let told = problem["errors"][0]["message"].as_str().unwrap();
    assert!(["title", "updated_at", "metadata.KEY"].iter().all(|known| told.contains(known)), "{told}");
}

#[tokio::test]
async fn a_list_is_filtered_by_ranges_times_and_kinds() {
    let (_server, tenant) = shelf().await;
    let page = file("page.html", b"<p>The gate closes at ten.</p>");
    let page = tenant.client.upload("POST", &tenant.path("/documents"), &[page]).await.is(201).json();
    let created = page["created_at"].as_str().unwrap();
    for (query, expected) in [
        ("metadata.year[gte]=2020&metadata.year[lte]=2023", vec!["a.md", "b.md"]),
        ("metadata.year%5Bgte%5D=2022", vec!["c.md"]),
        ("metadata.date[gte]=2024-01-01&metadata.date[lte]=2024-12-31", vec!["d.md"]),
        ("metadata.date[lte]=2024", vec!["c.md"]),
        ("metadata.tags=bread", vec!["d.md"]),
        // One value lies between both bounds, not one below and another above.
        ("metadata.tags[gte]=c&metadata.tags[lte]=q", vec!["c.md"]),
        ("metadata.author.name=bob", vec!["c.md"]),
        ("metadata.author.name=Zoe", vec!["b.md"]),
        ("metadata.author[gte]=A&metadata.year=2019", vec!["d.md"]),
        ("metadata.author..=bob&metadata..=x&metadata.tags[0].x=soup", vec![]),
        ("content_type=text/html", vec!["page.html"]),
        ("content_type=text/html&content_type=text/x-unknown", vec!["page.html"]),
        (&format!("created_after={created}"), vec![]),
        (&format!("created_before={created}&metadata.year=2024"), vec!["c.md"]),
    ] {
        assert_eq!(listed(&tenant, &format!("sort=source&{query}")).await, expected, "{query}");
    }
    for query in ["created_after=yesterday", "created_before=2026-13-01T00:00:00Z", "metadata.[gte]=1"] {
        tenant.client.get(&tenant.path(&format!("/documents?{query}"))).await.problem(422, "validation_failed");
    }
    let body = json!({"query": "gate closes", "filters": {"content_types": ["text/markdown"]}});
    assert!(!tenant.search(body).await.to_string().contains("page.html"));
}

#[tokio::test]
async fn a_list_is_searched_in_the_texts_of_its_metadata() {
    let (_server, tenant) = shelf().await;
    for (q, expected) in [("SOUP", "d.md"), ("bOB", "c.md"), ("2023-11", "c.md"), ("zoe", "b.md")] {
        assert_eq!(listed(&tenant, &format!("q={q}")).await, [expected], "{q}");
    }
    assert_eq!(listed(&tenant, "q=tags").await, Vec::<String>::new(), "names of keys are no texts");
}

#[tokio::test]
async fn searches_are_filtered_by_front_matter_and_by_what_is_given() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let note = |team: &str, date: &str, tags: &str| {
        format!(
            "---\nteam: {team}\ndate: {date}\ntags: {tags}\nowner: {{name: Ada}}\n---\n# Kettles\n\nThe kettle of {team}."
        )
    };
    let given = json!({"team": "harbour", "reviewed": true});
    for (source, content, metadata) in [
        ("north.md", note("north", "2024-03-01", "[tea, copper]"), json!({})),
        ("south.md", note("south", "2025-06-15", "[iron]"), json!({})),
        ("stated.md", note("west", "2025-07-01", "[tea]"), given.clone()),
    ] {
        let body = json!({"source": source, "content": content, "metadata": metadata});
        let row = tenant.client.post(&tenant.path("/documents"), &body).await.is(201).json();
        if source == "stated.md" {
            assert_eq!(row["metadata"]["team"], "harbour", "what is given beats what the file states");
            assert_eq!(row["metadata"]["date"], "2025-07-01");
        }
    }
    for (metadata, expected) in [
        (json!({"tags": "tea"}), vec!["north.md", "stated.md"]),
        (json!({"tags": {"$in": ["iron", "tin"]}}), vec!["south.md"]),
        (json!({"date": {"$gte": "2025-01-01", "$lte": "2025-06-30"}}), vec!["south.md"]),
        (json!({"date": {"$gte": "2025"}}), vec!["south.md", "stated.md"]),
        (json!({"team": "harbour"}), vec!["stated.md"]),
        (json!({"team": "west"}), vec![]),
        (json!({"reviewed": true, "owner.name": "Ada"}), vec!["stated.md"]),
    ] {
        let found = tenant.search(json!({"query": "kettle", "filters": {"metadata": metadata}})).await;
        let hits = found["results"].as_array().unwrap().iter();
        let mut sources: Vec<&str> = hits.map(|hit| hit["document_source"].as_str().unwrap()).collect();
        sources.sort();
        assert_eq!(sources, expected, "{metadata}");
    }
}

#[tokio::test]
async fn metadata_is_changed_without_sending_the_document_again() {
    let (_server, tenant) = shelf().await;
    let row = tenant.client.get(&tenant.path("/documents?q=beta")).await.is(200).json()["documents"][0].clone();
    let path = tenant.path(&format!("/documents/{}", id(&row)));
    let chunks = tenant.client.get(&format!("{path}/chunks")).await.is(200).json();
    let body = json!({"metadata": {"tags": null, "year": 2022, "read": true}});
    let changed = tenant.client.patch(&path, &body).await.is(200).json();
    let mut expected = row["metadata"].clone();
    expected.as_object_mut().unwrap().remove("tags");
    expected["year"] = json!(2022);
    expected["read"] = json!(true);
    assert_eq!((&changed["metadata"], &changed["title"]), (&expected, &row["title"]));
    assert!(changed["updated_at"].as_str() > row["updated_at"].as_str());
    assert_eq!(tenant.client.get(&format!("{path}/chunks")).await.is(200).json(), chunks);
    assert_eq!(listed(&tenant, "metadata.read=true").await, ["b.md"]);
    let found = tenant.search(json!({"query": "three", "filters": {"metadata": {"year": 2022}}})).await;
    assert_eq!((&found["total_results"], &found["results"][0]["metadata"]), (&json!(1), &expected));
    let large = json!({"metadata": {"text": "x".repeat(70_000)}});
    for body in [large, json!({}), json!({"metadata": []}), json!({"metadata": {}, "title": "Other"})] {
        tenant.client.patch(&path, &body).await.problem(422, "validation_failed");
    }
    assert_eq!(tenant.read(&id(&row)).await["metadata"], expected, "what is refused changes nothing");
    let absent = tenant.path(&format!("/documents/{}", Uuid::now_v7()));
    tenant.client.patch(&absent, &body).await.problem(404, "not_found");
}
