//! The processes that read documents: what hostile files do to them, and what they cannot do to anything else.

use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::client::file;
use crate::originals::{docx, package, paragraph, pdf, row, written, xlsx};
use crate::server::{Home, Server, finish};
use crate::tenant::{Tenant, id};

/// Files that make parsers ask for too much, follow themselves or nest without end.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let objects = |page: &str, more: &[String]| {
        let mut objects = vec![
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            page.to_owned(),
        ];
        objects.extend_from_slice(more);
        written(&objects, "")
    };
    let plain_page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R >>";
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let form = "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 5 0 R >> >> /Length 5 >>\nstream\n/F Do\nendstream";
    let page_of_form = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /XObject << /F 5 0 R >> >> >>";
    let drawing = "<< /Length 5 >>\nstream\n/F Do\nendstream".to_owned();
    let million = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 2147483647 >>".to_owned(),
        plain_page.to_owned(),
    ];
    let cycle = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>".to_owned(),
    ];
    let sparse = "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row><row r=\"1048576\"><c r=\"XFD1048576\"><v>2</v></c></row>";
    let bomb = docx(&paragraph(None, &"A".repeat(80 << 20)));
    let laughs = (1..20).map(|n| format!("<!ENTITY l{n} \"&l{0};&l{0};&l{0};&l{0};&l{0};&l{0};&l{0};&l{0};\">", n - 1));
    let laughs: String = laughs.collect();
    let outside = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>";
    vec![
        ("arrays.pdf", objects(plain_page, &[nested(200_000)])),
        ("form.pdf", objects(page_of_form, &[drawing, form.to_owned()])),
        ("million.pdf", written(&million, "")),
        ("cycle.pdf", written(&cycle, "")),
        ("sparse.xlsx", xlsx(sparse)),
        ("bomb.docx", bomb),
        ("tables.html", "<table><tr><td>".repeat(100_000).into_bytes()),
        ("deep.json", format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes()),
        ("deep.xml", format!("{}x{}", "<a>".repeat(200_000), "</a>".repeat(200_000)).into_bytes()),
        (
            "laughs.xml",
            format!("<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY l0 \"ha\">{laughs}]><a>&l19;</a>").into_bytes(),
        ),
        ("outside.xml", outside.as_bytes().to_vec()),
        ("deep.rtf", format!("{{\\rtf1 {}x{}}}", "{".repeat(200_000), "}".repeat(200_000)).into_bytes()),
    ]
}

#[tokio::test]
async fn hostile_files_end_and_take_nobody_with_them() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for (name, bytes) in hostile() {
        let answer = tenant.client.upload("POST", &tenant.path("/documents"), &[file(name, &bytes)]).await;
        assert!([201, 415, 422].contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        if answer.status == 201 {
            let content = tenant.read(&id(&answer.json())).await["content"].as_str().unwrap().to_owned();
            assert!(!content.contains("root:"), "{name} read another file");
            assert!(content.len() <= 64 << 20, "{name}: {} bytes", content.len());
        }
        tenant.client.get("/healthz").await.is(200);
    }
    let good = pdf(&[&["Still here."]]);
    tenant.client.upload("POST", &tenant.path("/documents"), &[file("good.pdf", &good)]).await.is(201);
}

#[tokio::test]
async fn in_a_job_a_hostile_file_fails_alone() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let good = xlsx(&row(1, &["Pump", "Hall"]));
    let parts = [file("deep.json", deep.as_bytes()), file("good.xlsx", &good)];
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &parts).await.is(202).json();
    let job = tenant.finished(&id(&job)).await;
    assert_eq!((&job["status"], &job["done"], &job["failed"]), (&json!("succeeded"), &json!(1), &json!(1)), "{job}");
    assert_eq!(job["errors"][0]["source"], "deep.json");
}

#[tokio::test]
async fn an_archive_that_unpacks_to_more_than_is_allowed_is_refused() {
    let server =
        Server::with(&[("CARREL_LIMITS_ARCHIVE_BYTES", "1000000"), ("CARREL_LIMITS_DOCUMENT_BYTES", "400000")]);
    let tenant = Tenant::new(&server.admin()).await;
    let long = "x ".repeat(300_000);
    let one = package(&[("long.txt", &long), ("short.txt", "Short enough.")]);
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &[file("a.zip", &one)]).await.is(202).json();
    let job = tenant.finished(&id(&job)).await;
    assert_eq!((&job["done"], &job["failed"]), (&json!(1), &json!(1)), "{job}");
    assert_eq!(
        (&job["errors"][0]["source"], &job["errors"][0]["code"]),
        (&json!("long.txt"), &json!("payload_too_large"))
    );
    let bomb = package(&[("a.txt", &long), ("b.txt", &long), ("c.txt", &long)]);
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &[file("b.zip", &bomb)]).await.is(202).json();
    let job = tenant.finished(&id(&job)).await;
    assert_eq!((&job["status"], &job["errors"][0]["code"]), (&json!("failed"), &json!("payload_too_large")), "{job}");
}

#[tokio::test]
async fn what_an_archive_unpacks_to_is_bounded_where_nobody_wants_it_too() {
    let server = Server::with(&[("CARREL_LIMITS_ARCHIVE_BYTES", "1000000")]);
    let tenant = Tenant::new(&server.admin()).await;
    // A folder with a body of 100 MB, and a file after it.
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(100 << 20);
    header.set_mode(0o755);
    tar.append_data(&mut header, "folder/", std::io::repeat(0).take(100 << 20)).unwrap();
    let bomb = zstd::encode_all(tar.into_inner().unwrap().as_slice(), 3).unwrap();
    assert!(bomb.len() < 100_000);
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &[file("a.tar.zst", &bomb)]).await.is(202).json();
    let job = tenant.finished(&id(&job)).await;
    assert_eq!((&job["status"], &job["errors"][0]["code"]), (&json!("failed"), &json!("too_complex")), "{job}");
}

#[tokio::test]
async fn a_table_whose_header_is_one_endless_word_is_a_table_like_others() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = format!("| {} | b |\n| --- | --- |\n{}", "a".repeat(200_000), "| row | x |\n".repeat(3_000));
    let stored = tenant.document("table.md", &text).await;
    let content = tenant.read(&id(&stored)).await["content"].as_str().unwrap().to_owned();
    assert!(content.len() < text.len() * 2, "{} bytes of {}", content.len(), text.len());
}

/// The processes that a server reads documents with.
#[cfg(target_os = "linux")]
fn readers(server: &Server) -> Vec<u32> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let own = |process: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{}", server.process()))
    };
    processes.filter(own).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_reader_is_confined_and_serves_one_workspace_alone() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let other = Tenant::new(&server.admin()).await;
    let read = async |tenant: &Tenant, name: &str| {
        let bytes = pdf(&[&["A page to be read."]]);
        tenant.client.upload("POST", &tenant.path("/documents"), &[file(name, &bytes)]).await.is(201);
    };
    read(&tenant, "one.pdf").await;
    let first = readers(&server);
    assert_eq!(first.len(), 1);
    let status = std::fs::read_to_string(format!("/proc/{}/status", first[0])).unwrap();
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1"] {
        assert!(status.lines().any(|found| found == line), "{line} in {status}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", first[0])).unwrap();
    assert!(
        limits.lines().any(|line| line.starts_with("Max address space") && line.contains("1073741824")),
        "{limits}"
    );
    let open = std::fs::read_dir(format!("/proc/{}/fd", first[0])).unwrap();
    let open: Vec<PathBuf> = open.map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap()).collect();
    let data = server.home().data();
    assert!(open.iter().all(|path| !path.starts_with(&data)), "no file of the data directory: {open:?}");
    assert_eq!(
        std::fs::read(format!("/proc/{}/environ", first[0])).unwrap(),
        b"",
        "nothing of the server's surroundings"
    );
    read(&tenant, "two.pdf").await;
    assert_eq!(readers(&server), first, "kept warm");
    read(&other, "one.pdf").await;
    assert!(readers(&server).iter().any(|process| !first.contains(process)), "another workspace has another reader");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_reader_that_is_killed_is_replaced() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let bytes = pdf(&[&["A page to be read."]]);
    for name in ["one.pdf", "two.pdf", "three.pdf"] {
        tenant.client.upload("POST", &tenant.path("/documents"), &[file(name, &bytes)]).await.is(201);
        for process in readers(&server) {
            assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
        }
    }
}

/// Whether text recognition can be had on this machine.
fn recognizes() -> bool {
    Command::new("tesseract").arg("--version").output().is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn text_in_pictures_is_read_where_there_is_text_recognition() {
    let picture = include_bytes!("../fixtures/note.png");
    let path = std::env::var("PATH").unwrap();
    let server = Server::with(&[("PATH", &path)]);
    let tenant = Tenant::new(&server.admin()).await;
    let answer = tenant.client.upload("POST", &tenant.path("/documents"), &[file("note.png", picture)]).await;
    if !recognizes() {
        answer.problem(422, "no_text_layer");
        return;
    }
    let document = answer.is(201).json();
    assert_eq!(document["content_type"], "image/png");
    assert_eq!(document["metadata"]["pages_recognized"], json!([1]));
    let answer = tenant.ask("When was the gasket of pump seven replaced?").await;
    assert!(answer["message"].as_str().unwrap().contains("October"), "{answer}");
    assert_eq!(answer["citations"][0]["label"], "note.png, page 1");
}

/// A message to which files are attached.
fn message(attached: &[(&str, &[u8])]) -> String {
    let parts = attached.iter().map(|(name, bytes)| {
        format!(
            "--frontier\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename={name}\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
            base64(bytes)
        )
    });
    let head = "From: fax@example.com\r\nSubject: The fax\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=frontier\r\n\r\n--frontier\r\n\r\nIt is attached.\r\n";
    format!("{head}{}--frontier--\r\n", parts.collect::<String>())
}

fn base64(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let triples = bytes.chunks(3).map(|three| {
        let number = (0..3).fold(0, |number, at| number << 8 | usize::from(three.get(at).copied().unwrap_or(0)));
        let digit = |at: usize| char::from(digits[number >> (18 - 6 * at) & 63]);
        (0..4).map(|at| if at <= three.len() { digit(at) } else { '=' }).collect::<String>()
    });
    triples.collect::<Vec<_>>().chunks(19).map(<[String]>::concat).collect::<Vec<_>>().join("\r\n")
}

#[tokio::test]
async fn text_in_pictures_that_are_attached_is_read_and_cited_there() {
    let picture = include_bytes!("../fixtures/note.png");
    let path = std::env::var("PATH").unwrap();
    let server = Server::with(&[("PATH", &path)]);
    let tenant = Tenant::new(&server.admin()).await;
    let mail = message(&[("note.png", picture), ("list.csv", b"Part,Price\nGasket,17\n")]);
    let answer = tenant.client.upload("POST", &tenant.path("/documents"), &[file("fax.eml", mail.as_bytes())]).await;
    let document = tenant.read(&id(&answer.is(201).json())).await;
    let content = document["content"].as_str().unwrap();
    if !recognizes() {
        let warning = document["warnings"][0]["message"].as_str().unwrap();
        assert!(warning.starts_with("note.png was left out") && !content.contains("note.png"), "{document}");
        return;
    }
    let at = |text: &str| content.find(text).unwrap_or_else(|| panic!("{text} is not in {content}"));
    assert!(
        at("\n\n## Attachment: note.png\n\n") < at("October") && at("October") < at("\n\n## Attachment: list.csv\n\n"),
        "{content}"
    );
    assert!(document["warnings"].is_null(), "{document}");
    let answer = tenant.ask("When was the gasket of pump seven replaced?").await;
    assert!(answer["message"].as_str().unwrap().contains("October"), "{answer}");
    assert_eq!(answer["citations"][0]["label"], "fax.eml › note.png, page 1");
}

#[tokio::test]
async fn without_text_recognition_a_picture_says_that_nothing_reads_it() {
    let server = Server::with(&[("CARREL_INGEST_OCR_LANGUAGES", "off")]);
    let tenant = Tenant::new(&server.admin()).await;
    let picture = include_bytes!("../fixtures/note.png");
    let answer = tenant.client.upload("POST", &tenant.path("/documents"), &[file("note.png", picture)]).await;
    let detail = answer.problem(422, "no_text_layer")["detail"].clone();
    assert!(detail.as_str().unwrap().contains("text recognition"), "{detail}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_doctor_tells_what_holds_readers_and_what_reads_pictures() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let programs = home.path().join("programs");
    let examine = |languages: &str| {
        let mut command = home.carrel(&["doctor", "--json"]);
        command.env("PATH", &programs).env("CARREL_INGEST_OCR_LANGUAGES", languages);
        let found = finish(command, "");
        let checks = serde_json::from_str::<Value>(&found.stdout).unwrap()["checks"].clone();
        move |name: &str| checks.as_array().unwrap().iter().find(|check| check["check"] == name).cloned().unwrap()
    };
    let found = examine("eng");
    let reading = found("reading documents");
    assert_eq!(reading["ok"], true);
    assert!(reading["detail"].as_str().unwrap().contains("memory and time are bounded"), "{reading}");
    let recognition = found("text recognition");
    assert_eq!(recognition["ok"], true, "it is not needed");
    assert!(recognition["detail"].as_str().unwrap().contains("no tesseract"), "{recognition}");

    std::fs::create_dir(&programs).unwrap();
    let program = programs.join("tesseract");
    std::fs::write(&program, "#!/bin/sh\necho 'List of available languages (1):'\necho deu\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.display().to_string();
    assert_eq!(examine("deu")("text recognition")["detail"], format!("{program} reads deu"));
    let lacking = examine("deu+eng")("text recognition");
    assert_eq!(lacking["ok"], false);
    assert_eq!(lacking["detail"], format!("{program} has not got the languages eng"));
    assert_eq!(examine("off")("text recognition")["detail"], "switched off");
}
