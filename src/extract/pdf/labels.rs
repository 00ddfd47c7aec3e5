//! What pages call themselves: page 3 of 7, Seite 3, 第3頁.

/// Words that stand beside a page's number.
const WORDS: [&str; 49] = [
    "page",
    "pages",
    "p",
    "pp",
    "pg",
    "seite",
    "s",
    "página",
    "pagina",
    "pàgina",
    "pág",
    "pag",
    "strona",
    "str",
    "strana",
    "sida",
    "sid",
    "side",
    "sivu",
    "blad",
    "blz",
    "bladzijde",
    "blatt",
    "bl",
    "oldal",
    "sayfa",
    "стр",
    "страница",
    "с",
    "頁",
    "页",
    "ページ",
    "第",
    "共",
    "쪽",
    "페이지",
    "of",
    "von",
    "de",
    "di",
    "sur",
    "van",
    "z",
    "av",
    "af",
    "ud",
    "из",
    "til",
    "out",
];

/// Whether this says nothing but which page it stands on.
pub fn is_page(text: &str) -> bool {
    let is_set_apart = |c: char| c.is_whitespace() || c.is_ascii_digit() || "#-–—/|•·¦.,:;()[]<>~*_".contains(c);
    let mut words = text.split(is_set_apart).filter(|word| !word.is_empty());
    words.all(|word| WORDS.contains(&word.to_lowercase().as_str()))
}
