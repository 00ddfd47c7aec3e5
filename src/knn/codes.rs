//! Binary codes: the signs of a vector's numbers, and how many of them two vectors have unlike.
//!
//! Vectors that point the same way have like signs, so the count (Hamming distance) tells which are worth a closer look.
//! A scan is popcount over memory; the processor's own instruction for it is used where there is one. Between the signs
//! of a question and the question itself lies most of what a code loses, so the best of a scan are weighed again, by the
//! question's own numbers, and by what is kept of the length and place of each vector.

use half::f16;

/// Distance of a place that is not to be found.
pub const NEVER: u16 = u16::MAX;

/// Words of the code of a vector of `dimension` numbers.
pub fn words(dimension: usize) -> usize {
    dimension.div_ceil(64)
}

/// Appends the code of `vector` to `codes`: a bit for each number, set where it is above that of `centre`.
pub fn encode(vector: &[f32], centre: &[f32], codes: &mut Vec<u64>) {
    for (numbers, middles) in vector.chunks(64).zip(centre.chunks(64)) {
        let bits = numbers.iter().zip(middles).enumerate();
        codes.push(bits.fold(0, |word, (place, (number, middle))| word | u64::from(number > middle) << place));
    }
}

/// What is kept of a vector beside its code: with it, what a code weighs estimates a similarity without bias
/// (Gao and Long, "RaBitQ", 2024), whichever way the vectors as a whole lie from the origin.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shape {
    /// How much a sign stands for.
    scale: f16,
    /// The similarity of the centre to what the vector has beyond it.
    shift: f16,
}

impl Shape {
    /// Of `vector` around `centre`.
    pub fn of(vector: &[f32], centre: &[f32]) -> Self {
        let (mut square, mut absolute, mut shift) = (0.0, 0.0, 0.0);
        for (number, middle) in vector.iter().zip(centre) {
            let beyond = number - middle;
            square += beyond * beyond;
            absolute += beyond.abs();
            shift += beyond * middle;
        }
        let scale = if absolute > 0.0 { square / absolute } else { 0.0 };
        Shape { scale: f16::from_f32(scale), shift: f16::from_f32(shift) }
    }

    /// As it is stored.
    pub fn to_bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.scale.to_le_bytes(), self.shift.to_le_bytes());
        [a, b, c, d]
    }

    /// As it was stored.
    pub fn from_bytes([a, b, c, d]: [u8; 4]) -> Self {
        Shape { scale: f16::from_le_bytes([a, b]), shift: f16::from_le_bytes([c, d]) }
    }
}

/// Writes the distance of `query` to each of `codes`, which lie one after another, into `distances`.
pub fn distances(query: &[u64], codes: &[u64], distances: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512vpopcntdq") && std::is_x86_feature_detected!("avx512vl") {
            // SAFETY: the processor has what the function was compiled for.
            return unsafe { with_vector_popcount(query, codes, distances) };
        }
        if std::is_x86_feature_detected!("popcnt") {
            // SAFETY: the processor has what the function was compiled for.
            return unsafe { with_popcount(query, codes, distances) };
        }
    }
    by_width(query, codes, distances);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512vpopcntdq")]
fn with_vector_popcount(query: &[u64], codes: &[u64], distances: &mut [u16]) {
    by_width(query, codes, distances);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn with_popcount(query: &[u64], codes: &[u64], distances: &mut [u16]) {
    by_width(query, codes, distances);
}

/// The usual widths with their loops unrolled: 384, 512, 768 and 1,024 numbers.
#[inline(always)]
fn by_width(query: &[u64], codes: &[u64], distances: &mut [u16]) {
    match query.len() {
        6 => fixed::<6>(query, codes, distances),
        8 => fixed::<8>(query, codes, distances),
        12 => fixed::<12>(query, codes, distances),
        16 => fixed::<16>(query, codes, distances),
        width => {
            for (code, distance) in codes.chunks_exact(width.max(1)).zip(distances) {
                *distance = code.iter().zip(query).map(|(a, b)| (a ^ b).count_ones() as u16).sum();
            }
        }
    }
}

#[inline(always)]
fn fixed<const WORDS: usize>(query: &[u64], codes: &[u64], distances: &mut [u16]) {
    let Ok(query) = <&[u64; WORDS]>::try_from(query) else { return };
    let (codes, _) = codes.as_chunks::<WORDS>();
    for (code, distance) in codes.iter().zip(distances) {
        let mut unlike = 0;
        for word in 0..WORDS {
            unlike += (code[word] ^ query[word]).count_ones();
        }
        *distance = unlike as u16;
    }
}

/// A question's numbers, summed up for every byte that a code can have.
pub struct Weights {
    /// 256 sums for each byte of a code.
    sums: Vec<f32>,
}

impl Weights {
    /// Of the numbers of `vector`, against `centre`.
    pub fn of(vector: &[f32], centre: &[f32]) -> Self {
        let numbers: Vec<f32> = vector.iter().zip(centre).map(|(number, middle)| number - middle).collect();
        let mut sums = Vec::with_capacity(256 * numbers.len().div_ceil(64) * 8);
        for byte in numbers.chunks(8) {
            let first = sums.len();
            sums.push(-byte.iter().sum::<f32>());
            for value in 1usize..256 {
                // As without its lowest bit, and with that one's sign turned.
                let number = byte.get(value.trailing_zeros() as usize).copied().unwrap_or(0.0);
                sums.push(sums.get(first + (value & (value - 1))).copied().unwrap_or(0.0) + 2.0 * number);
            }
        }
        Weights { sums }
    }

    /// How alike the vector with this code and shape is to the question, but for what is the same for all.
    pub fn weigh(&self, code: &[u64], shape: Shape) -> f32 {
        self.sum(code) * shape.scale.to_f32() + shape.shift.to_f32()
    }

    /// The sum of the question's numbers, each with the sign that `code` has in its place.
    fn sum(&self, code: &[u64]) -> f32 {
        let bytes = code.iter().flat_map(|word| word.to_le_bytes());
        self.sums.as_chunks::<256>().0.iter().zip(bytes).map(|(sums, byte)| sums[usize::from(byte)]).sum()
    }
}

/// The places of the least distances seen so far.
pub struct Nearest {
    wanted: usize,
    /// How many of the kept places have each distance.
    counts: Vec<usize>,
    /// How many places are kept that are no further than `bound`.
    within: usize,
    /// The greatest distance that is still of interest.
    bound: u16,
    kept: Vec<(u16, u32)>,
}

impl Nearest {
    /// For the `wanted` nearest; `bits` is the greatest distance there can be.
    pub fn new(wanted: usize, bits: usize) -> Self {
        let bound = u16::try_from(bits).unwrap_or(NEVER - 1).min(NEVER - 1);
        Nearest { wanted: wanted.max(1), counts: vec![0; usize::from(bound) + 1], within: 0, bound, kept: Vec::new() }
    }

    /// Looks at `distances`, those of the places from `first` on.
    pub fn see(&mut self, distances: &[u16], first: u32) {
        for (place, distance) in (first..).zip(distances) {
            if *distance > self.bound {
                continue;
            }
            self.kept.push((*distance, place));
            self.within += 1;
            if let Some(count) = self.counts.get_mut(usize::from(*distance)) {
                *count += 1;
            }
            // What lies on the bound is let go once there are enough below it.
            while let Some(on_bound) = self.counts.get(usize::from(self.bound)).copied()
                && self.bound > 0
                && self.within - on_bound >= self.wanted
            {
                self.within -= on_bound;
                self.bound -= 1;
            }
        }
    }

    /// The wanted places, and all that are as near as the last of them, in order of place.
    pub fn places(self) -> impl Iterator<Item = u32> {
        let bound = self.bound;
        self.kept.into_iter().filter(move |(distance, _)| *distance <= bound).map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_has_a_bit_for_each_number_above_the_centre() {
        let code = |vector: &[f32], centre: &[f32]| {
            let mut codes = Vec::new();
            encode(vector, centre, &mut codes);
            codes
        };
        assert_eq!(code(&[0.5, -0.5, 0.0, 0.1], &[0.0; 4]), [0b1001]);
        assert_eq!(code(&[0.5, -0.5, 0.0, 0.1], &[0.5, -1.0, 0.0, 0.0]), [0b1010]);
        assert_eq!(code(&[1.0; 65], &[0.0; 65]), [u64::MAX, 1]);
    }

    proptest! {
        #[test]
        fn a_code_weighs_what_its_signs_sum_up_to(
            vector in prop::collection::vec(-1.0f32..1.0, 1..150),
            seed in any::<[u64; 3]>(),
        ) {
            let centre: Vec<f32> = vector.iter().rev().map(|number| number / 3.0).collect();
            let signs = (0..vector.len()).map(|place| if seed[place / 64] >> (place % 64) & 1 == 1 { 1.0 } else { -1.0 });
            let plain: f32 = signs.zip(vector.iter().zip(&centre)).map(|(sign, (v, c))| sign * (v - c)).sum();
            let weighed = Weights::of(&vector, &centre).sum(&seed[..words(vector.len())]);
            prop_assert!((weighed - plain).abs() < 1e-3, "{weighed} and {plain}");
        }

        #[test]
        fn a_vector_weighs_as_much_as_it_is_alike_to_a_question_along_its_signs(
            signs in prop::collection::vec(prop::bool::ANY, 1..150),
            length in 0.1f32..2.0,
            middle in -1.0f32..1.0,
        ) {
            // One whose numbers are all as far from the centre loses nothing in its code.
            let centre = vec![middle; signs.len()];
            let vector: Vec<f32> = signs.iter().map(|sign| middle + if *sign { length } else { -length }).collect();
            let question: Vec<f32> = (0..signs.len()).map(|place| (place as f32).sin()).collect();
            let mut code = Vec::new();
            encode(&vector, &centre, &mut code);
            let shape = Shape::from_bytes(Shape::of(&vector, &centre).to_bytes());
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let plain = dot(&question, &vector) - dot(&question, &centre);
            let weighed = Weights::of(&question, &centre).weigh(&code, shape);
            prop_assert!((weighed - plain).abs() < 0.01 * (1.0 + signs.len() as f32), "{weighed} and {plain}");
        }

        #[test]
        fn every_way_of_counting_gives_the_same(
            width in prop::sample::select(vec![1usize, 3, 6, 8, 12, 16]),
            seed in prop::collection::vec(any::<u64>(), 16 * 21),
        ) {
            let (query, codes) = (&seed[..width], &seed[16..16 + 20 * width]);
            let plain: Vec<u16> = codes
                .chunks(width)
                .map(|code| code.iter().zip(query).map(|(a, b)| (a ^ b).count_ones() as u16).sum())
                .collect();
            let mut found = vec![0; 20];
            distances(query, codes, &mut found);
            prop_assert_eq!(&found, &plain);
            by_width(query, codes, &mut found);
            prop_assert_eq!(&found, &plain);
        }

        #[test]
        fn the_nearest_are_as_by_sorting(
            distances in prop::collection::vec(prop_oneof![0u16..=64, Just(NEVER)], 0..200),
            wanted in 1usize..50,
        ) {
            let mut nearest = Nearest::new(wanted, 64);
            for (part, distances) in distances.chunks(7).enumerate() {
                nearest.see(distances, part as u32 * 7);
            }
            let mut sorted: Vec<u16> = distances.iter().copied().filter(|d| *d != NEVER).collect();
            sorted.sort_unstable();
            let bound = sorted.get(wanted - 1).or(sorted.last()).copied();
            let expected = distances.iter().enumerate().filter(|(_, d)| bound.is_some_and(|bound| **d <= bound));
            let expected: Vec<u32> = expected.map(|(place, _)| place as u32).collect();
            prop_assert_eq!(nearest.places().collect::<Vec<_>>(), expected);
        }
    }
}
