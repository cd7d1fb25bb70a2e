//! Colour maps, each from 33 stops between which colours are interpolated.
//!
//! Sources: viridis, magma, inferno (Smith, van der Walt; CC0) and cividis (Nuñez, Anderton, Renslow
//! 2018; CC0) as in matplotlib; turbo (Mikhailov 2019; Apache 2.0); `RdBu` (Brewer, colorbrewer2.org;
//! Apache 2.0), turned round so that low is blue; balance (Thyng et al. 2016, cmocean; MIT). What is
//! interpolated stays within six in 255 of the tables.

/// How a value becomes a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorMap {
    /// Dark blue over green to yellow.
    #[default]
    Viridis,
    /// Black over purple to pale yellow.
    Magma,
    /// Black over red to yellow.
    Inferno,
    /// Blue over grey to yellow: alike for those who do not see red and green apart.
    Cividis,
    /// The rainbow, without its false edges; not even to the eye.
    Turbo,
    /// Black to white.
    Grey,
    /// Blue over white to red.
    RdBu,
    /// Dark blue over white to dark red.
    Balance,
}

const STOPS: usize = 33;

const VIRIDIS: &str = concat!(
    "440154470d6048186a482374472d7b4536814240863f49893b528b375a8d33638d2f6a8e2c728e297a8e26818e23898e21908c1f988b",
    "1f9f8821a68528ae8031b57b3ebc744cc26c5dc9636ece5882d34c96d83fabdc32c0df24d5e21aeae51afde725"
);
const MAGMA: &str = concat!(
    "0000040303110a0822130d331d114628115a36106a430f7650127c5d177f691c817621818226818f2a819c2e7fa9327db63779c33b75",
    "cf4170db486ae65163ee5c5ef5695cf9785dfb8761fd9668fea571feb47bfec387fed194fde0a2fceeb0fcfdbf"
);
const INFERNO: &str = concat!(
    "0000040403120b0724150b37210c4a2e0a5a3c09654a0c6b57106d63146e70196e7d1e6d89226a962766a32b61af315cbb3755c63e4d",
    "d14644db4f3be35932eb6528f1711ef67f14f98d0afb9c06fcab0ffbba1ff9ca32f5d949f2e865f3f586fcffa4"
);
const CIVIDIS: &str = concat!(
    "00224e00285b002e6a0433711a386f273e6e32436d3b496c434e6c4b546c52596d5a5f6e61656f686a716f70737576767c7b78848179",
    "8b8778938d789b9376a39a75aba072b3a670bbad6cc3b469ccba64d4c15fddc958e6d051efd748f8df3cfee838"
);
const TURBO: &str = concat!(
    "30123b392a734040a14456c7466be3467ff64293ff37a7fa29bbec1dcdd818dcc31ee8b031f2994cf97e6bfd648aff4da3fd3cb8f735",
    "cced34dee037edd03af8c03afdae35fe982cfb8022f56817ec520fe04009d23105c02302ac1701950d017a0403"
);
const RDBU: &str = concat!(
    "0530610e41781752901f63a72a71b2347fb93f8dc0529cc86aacd083bcd99ac9e0aed3e6c1ddebd3e6f0dfecf3ebf1f5f7f7f6f9eee8",
    "fbe6d9fdddcafbcdb6f8bda0f5ac8bee9878e58268dc6d57d25749c6403ebb2a33ad172a960f267e082367001f"
);
const BALANCE: &str = concat!(
    "181c4320275b263276293c932548af1059be0e6abd2379bb3887ba4d95ba64a2bc7dadbf96b9c5afc5cdc6d1d6dddfe1f1ecece9dbd7",
    "e3c8c0ddb5a9d7a392d2917bcc7f65c66c4fc0593cb9452caf3024a11d258f10297b0e29650f24500d1c3c0912"
);

impl ColorMap {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 8] =
        [Self::Viridis, Self::Magma, Self::Inferno, Self::Cividis, Self::Turbo, Self::Grey, Self::RdBu, Self::Balance];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viridis => "viridis",
            Self::Magma => "magma",
            Self::Inferno => "inferno",
            Self::Cividis => "cividis",
            Self::Turbo => "turbo",
            Self::Grey => "grey",
            Self::RdBu => "RdBu",
            Self::Balance => "balance",
        }
    }

    /// Whether its middle stands for 0, and its ends for both sides of it.
    pub fn is_diverging(self) -> bool {
        matches!(self, Self::RdBu | Self::Balance)
    }

    /// The next one, or the one before.
    #[must_use]
    pub fn next(self, forward: bool) -> Self {
        let n = Self::ALL.len();
        let at = Self::ALL.iter().position(|map| *map == self).unwrap_or(0);
        Self::ALL[(at + if forward { 1 } else { n - 1 }) % n]
    }

    /// Its colours, RGB, from low to high; `inverted` from high to low.
    pub fn colors(self, inverted: bool) -> [[u8; 3]; 256] {
        let stops = match self {
            Self::Viridis => VIRIDIS,
            Self::Magma => MAGMA,
            Self::Inferno => INFERNO,
            Self::Cividis => CIVIDIS,
            Self::Turbo => TURBO,
            Self::RdBu => RDBU,
            Self::Balance => BALANCE,
            Self::Grey => "",
        };
        std::array::from_fn(|i| {
            let i = if inverted { 255 - i } else { i };
            if self == Self::Grey { [i as u8; 3] } else { between(stops, i as f64 / 255.0) }
        })
    }
}

/// The colour at a share of the way along stops of six hexadecimal digits each.
fn between(stops: &str, share: f64) -> [u8; 3] {
    let at = share * (STOPS - 1) as f64;
    let index = (at.floor() as usize).min(STOPS - 2);
    let part = at - index as f64;
    let stop = |index: usize, channel: usize| {
        let from = index * 6 + channel * 2;
        stops.get(from..from + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map_or(0.0, f64::from)
    };
    std::array::from_fn(|c| {
        let (low, high) = (stop(index, c), stop(index + 1, c));
        (low + (high - low) * part).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries 0, 64, 128, 191 and 255 of the tables as published.
    const KNOWN: [(ColorMap, [[u8; 3]; 5]); 7] = [
        (ColorMap::Viridis, [[68, 1, 84], [59, 82, 139], [33, 145, 140], [92, 200, 99], [253, 231, 37]]),
        (ColorMap::Magma, [[0, 0, 4], [81, 18, 124], [183, 55, 121], [251, 135, 97], [252, 253, 191]]),
        (ColorMap::Inferno, [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 140, 10], [252, 255, 164]]),
        (ColorMap::Cividis, [[0, 34, 78], [67, 78, 108], [125, 124, 120], [187, 173, 109], [254, 232, 56]]),
        (ColorMap::Turbo, [[48, 18, 59], [40, 188, 235], [164, 252, 60], [251, 129, 34], [122, 4, 3]]),
        (ColorMap::RdBu, [[5, 48, 97], [107, 172, 209], [247, 246, 246], [229, 131, 104], [103, 0, 31]]),
        (ColorMap::Balance, [[24, 28, 67], [56, 136, 186], [241, 236, 235], [192, 90, 60], [60, 9, 18]]),
    ];

    #[test]
    fn maps_are_those_that_were_published() {
        for (map, known) in KNOWN {
            let colors = map.colors(false);
            for (index, color) in [0, 64, 128, 191, 255].into_iter().zip(known) {
                let near = colors[index].iter().zip(color).all(|(a, b)| a.abs_diff(b) <= 6);
                assert!(near, "{} at {index}: {:?} and not {color:?}", map.name(), colors[index]);
            }
        }
    }

    #[test]
    fn a_map_can_be_turned_round_and_all_are_reached() {
        assert_eq!(ColorMap::Grey.colors(true)[0], [255; 3]);
        assert_eq!(ColorMap::Magma.colors(true)[255], ColorMap::Magma.colors(false)[0]);
        let round = ColorMap::ALL.iter().fold(ColorMap::Viridis, |map, _| map.next(true));
        assert_eq!(round, ColorMap::Viridis);
        assert_eq!(ColorMap::Viridis.next(false).next(true), ColorMap::Viridis);
    }
}
