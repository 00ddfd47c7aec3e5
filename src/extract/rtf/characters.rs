//! Characters of Rich Text Format: bytes in the code page of their font, and units of UTF-16 with stand-ins after them.

use std::collections::HashMap;

use encoding_rs::Encoding;

/// Fonts that are kept.
const MOST_FONTS: usize = 10_000;

/// Bytes that wait for what makes characters of them.
pub struct Characters {
    pending: Vec<u8>,
    /// Characters that are still to be passed over.
    stand_ins: u32,
    high: Option<u16>,
    page: &'static Encoding,
    fonts: HashMap<i32, &'static Encoding>,
    pub default_font: i32,
}

impl Default for Characters {
    fn default() -> Self {
        Characters {
            pending: Vec::new(),
            stand_ins: 0,
            high: None,
            page: encoding_rs::WINDOWS_1252,
            fonts: HashMap::new(),
            default_font: 0,
        }
    }
}

impl Characters {
    /// The document's code page, which holds where a font has none.
    pub fn code_page(&mut self, number: i32) {
        self.page = page(number).unwrap_or(self.page);
    }

    /// A font's character set.
    pub fn font(&mut self, font: i32, set: i32) {
        let number = match set {
            77 => 10000,
            128 => 932,
            129 => 949,
            134 => 936,
            136 => 950,
            161 => 1253,
            162 => 1254,
            163 => 1258,
            177 => 1255,
            178 => 1256,
            186 => 1257,
            204 => 1251,
            222 => 874,
            238 => 1250,
            _ => return,
        };
        if let (Some(page), true) = (page(number), self.fonts.len() < MOST_FONTS) {
            self.fonts.insert(font, page);
        }
    }

    /// Whether a character is one of those that stand in for one that was understood.
    pub fn stands_in(&mut self) -> bool {
        let stands_in = self.stand_ins > 0;
        self.stand_ins = self.stand_ins.saturating_sub(1);
        stands_in
    }

    /// A group's beginning or end leaves none to be passed over.
    pub fn no_stand_ins(&mut self) {
        self.stand_ins = 0;
    }

    /// Takes in bytes, less those that stand in.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let passed = usize::try_from(self.stand_ins).unwrap_or(0).min(bytes.len());
        self.stand_ins = self.stand_ins.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX));
        self.pending.extend_from_slice(bytes.get(passed..).unwrap_or_default());
    }

    /// The text of the bytes taken in.
    pub fn text(&mut self, font: i32) -> String {
        if self.pending.is_empty() {
            return String::new();
        }
        let page = self.fonts.get(&font).copied().unwrap_or(self.page);
        let text = page.decode_without_bom_handling(&self.pending).0.into_owned();
        self.pending.clear();
        text
    }

    /// The text of a unit of UTF-16, with its other half; so many stand-ins follow.
    pub fn unit(&mut self, unit: u16, stand_ins: u32) -> String {
        self.stand_ins = stand_ins;
        let units = match (self.high.take(), unit) {
            (_, 0xD800..=0xDBFF) => {
                self.high = Some(unit);
                return String::new();
            }
            (Some(high), 0xDC00..=0xDFFF) => vec![high, unit],
            // Signs of symbol fonts, mostly bullets, lie in an area that says nothing.
            (_, 0xE000..=0xF8FF) => return String::new(),
            _ => vec![unit],
        };
        String::from_utf16_lossy(&units)
    }
}

fn page(number: i32) -> Option<&'static Encoding> {
    Some(match number {
        874 => encoding_rs::WINDOWS_874,
        932 => encoding_rs::SHIFT_JIS,
        936 => encoding_rs::GBK,
        949 => encoding_rs::EUC_KR,
        950 => encoding_rs::BIG5,
        866 => encoding_rs::IBM866,
        1250 => encoding_rs::WINDOWS_1250,
        1251 => encoding_rs::WINDOWS_1251,
        1252 => encoding_rs::WINDOWS_1252,
        1253 => encoding_rs::WINDOWS_1253,
        1254 => encoding_rs::WINDOWS_1254,
        1255 => encoding_rs::WINDOWS_1255,
        1256 => encoding_rs::WINDOWS_1256,
        1257 => encoding_rs::WINDOWS_1257,
        1258 => encoding_rs::WINDOWS_1258,
        10000 => encoding_rs::MACINTOSH,
        65001 => encoding_rs::UTF_8,
        _ => return None,
    })
}

/// The character that a word stands for.
pub fn symbol(name: &str) -> Option<&'static str> {
    Some(match name {
        "tab" => "\t",
        "emdash" => "\u{2014}",
        "endash" => "\u{2013}",
        "lquote" => "\u{2018}",
        "rquote" => "\u{2019}",
        "ldblquote" => "\u{201C}",
        "rdblquote" => "\u{201D}",
        "bullet" => "\u{2022}",
        "emspace" | "enspace" | "qmspace" => " ",
        _ => return None,
    })
}
