//! Where the text of groups goes in Rich Text Format, by the word that they begin with.

/// Where the text of a group goes.
#[derive(Default, Clone, Copy, PartialEq)]
pub enum Into {
    #[default]
    Body,
    Nowhere,
    Fonts,
    Styles,
    Label,
    /// A fact about the document.
    Statement(&'static str),
}

/// Where the text of a group goes that begins with this word.
pub fn destination(into: Into, name: &str) -> Option<Into> {
    if into == Into::Nowhere {
        return Some(Into::Nowhere);
    }
    Some(match name {
        "fonttbl" => Into::Fonts,
        "stylesheet" => Into::Styles,
        "listtext" | "pntext" => Into::Label,
        // Within it there are facts, each in its own group.
        "info" => Into::Statement(""),
        "colortbl" | "pict" | "fldinst" | "shprslt" | "sp" | "xe" | "tc" | "rxe" | "annotation" | "atnid"
        | "atnauthor" | "nonesttables" | "objdata" | "falt" | "panose" | "fontemb" | "bkmkstart" | "bkmkend"
        | "ftnsep" | "ftnsepc" | "ftncn" | "aftnsep" | "aftnsepc" | "aftncn" => Into::Nowhere,
        "shpinst" | "shptxt" => Into::Body,
        _ => match (into, name) {
            (Into::Statement(_), "title") => Into::Statement("title"),
            (Into::Statement(_), "author") => Into::Statement("author"),
            (Into::Statement(_), "subject") => Into::Statement("subject"),
            (Into::Statement(_), "keywords") => Into::Statement("keywords"),
            (Into::Statement(_), "doccomm") => Into::Statement("description"),
            (Into::Statement(_), "creatim") => Into::Statement("created"),
            (Into::Statement(_), "revtim") => Into::Statement("modified"),
            _ => return None,
        },
    })
}
