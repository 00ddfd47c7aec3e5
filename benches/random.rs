//! A small generator (SplitMix64), so that every run has the same numbers and texts.

/// Words that texts are made of: enough that rare and frequent ones differ as in real text.
const WORDS: usize = 20_000;

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to 1.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Numbers about normally distributed.
    pub fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| ((0..4).map(|_| self.uniform()).sum::<f64>() - 2.0) as f32).collect()
    }

    /// `words` words; low numbers are frequent, as Zipf has it.
    pub fn text(&mut self, words: usize) -> String {
        let words: Vec<String> = (0..words).map(|_| self.word()).collect();
        words.join(" ") + "."
    }

    fn word(&mut self) -> String {
        let rank = (WORDS as f64).powf(self.uniform()) as usize;
        let syllables =
            ["ba", "ko", "ri", "ten", "mu", "sal", "vo", "de", "lin", "par", "gu", "ho", "fa", "nes", "ti", "wor"];
        (0..3).map(|place| syllables[(rank >> (place * 4)) & 15]).collect::<String>() + syllables[rank % 13]
    }

    /// Puts `all` into another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }
}
