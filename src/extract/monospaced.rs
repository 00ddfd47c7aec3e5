//! Fonts by their names: which have letters that are all of one width, as programs are set in.

/// What their names have in them.
const NAMES: &[&str] = &[
    "courier",
    "consol",
    "mono",
    "menlo",
    "monaco",
    "typewriter",
    "source code",
    "sourcecode",
    "fira code",
    "firacode",
    "cascadia",
    "cmtt",
    "letter gothic",
    "lettergothic",
    "fixedsys",
];

/// Whether a font's name is of one whose letters are all of one width.
pub fn is_monospaced(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // "Monotype" makes fonts of every kind.
    !name.contains("monotype") && NAMES.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typewriters_are_told_by_name() {
        let names = ["Courier New", "ABCDEF+CMTT10", "DejaVuSansMono-Bold", "Consolas", "SourceCodePro-Regular"];
        assert!(names.iter().all(|name| is_monospaced(name)));
        assert!(!["Monotype Corsiva", "Helvetica", "Times New Roman", ""].iter().any(|name| is_monospaced(name)));
    }
}
