//! Features: geometry as it is drawn and picked, in arrays.

use crate::table::wkt::{Stop, Visit};

/// Positions that are held at most: 16 bytes each.
const MOST_POSITIONS: usize = 12_000_000;

/// What a part of a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One position.
    Point,
    /// A line through its positions.
    Line,
    /// A ring of a polygon: the first an outline, then holes and outlines of further polygons. What lies
    /// inside an odd number of a feature's rings is inside.
    Ring,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    kind: Kind,
    /// Where its positions end.
    end: u32,
}

/// Geometry, the row that each feature came from, and a value for each to be coloured by.
#[derive(Clone, Debug, Default)]
pub struct Features {
    positions: Vec<[f64; 2]>,
    parts: Vec<Part>,
    /// Where the parts of each feature end.
    ends: Vec<u32>,
    rows: Vec<u64>,
    /// A value for each feature.
    pub values: Values,
    /// Rows without geometry, or with none that lies anywhere: null, empty, not on earth.
    pub without: u64,
}

/// A value for each feature.
#[derive(Clone, Debug, Default)]
pub enum Values {
    /// None.
    #[default]
    None,
    /// Numbers; NaN where there is none.
    Numbers(Vec<f64>),
    /// Words, as places in a list of names; [`Values::MISSING`] where there is none.
    Words {
        /// One for each feature.
        codes: Vec<u32>,
        /// The names.
        names: Vec<String>,
    },
}

impl Values {
    /// The code of a word that is missing.
    pub const MISSING: u32 = u32::MAX;
    /// The code of words beyond as many as are held apart.
    pub const OTHER: u32 = u32::MAX - 1;

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Numbers(numbers) => numbers.len(),
            Self::Words { codes, .. } => codes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Features {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether no more fit.
    pub fn is_full(&self) -> bool {
        self.positions.len() >= MOST_POSITIONS
    }

    /// How many positions they have.
    pub fn positions(&self) -> usize {
        self.positions.len()
    }

    /// The positions themselves: to be projected in place.
    pub(crate) fn positions_mut(&mut self) -> &mut [[f64; 2]] {
        &mut self.positions
    }

    /// The number of the row that a feature came from.
    pub fn row(&self, feature: usize) -> u64 {
        self.rows.get(feature).copied().unwrap_or_default()
    }

    /// The feature of a row.
    pub fn of_row(&self, row: u64) -> Option<usize> {
        self.rows.binary_search(&row).ok()
    }

    /// Its parts, each with its positions.
    pub fn parts(&self, feature: usize) -> impl Iterator<Item = (Kind, &[[f64; 2]])> {
        let end = self.ends.get(feature).map_or(0, |e| *e as usize);
        let start = if feature == 0 { 0 } else { self.ends.get(feature - 1).map_or(0, |e| *e as usize) };
        (start.min(end)..end).map(|i| {
            let from = if i == 0 { 0 } else { self.parts[i - 1].end as usize };
            (self.parts[i].kind, &self.positions[from..self.parts[i].end as usize])
        })
    }

    /// The position, where a feature is one point.
    pub fn point(&self, feature: usize) -> Option<[f64; 2]> {
        let mut parts = self.parts(feature);
        match (parts.next(), parts.next()) {
            (Some((Kind::Point, [at])), None) => Some(*at),
            _ => None,
        }
    }

    /// Adds a point. Rows come in ascending order.
    pub fn push_point(&mut self, row: u64, at: [f64; 2]) {
        self.positions.push(at);
        self.end_part(Kind::Point);
        self.end_feature(row);
    }

    /// Adds the feature of a row with the parts that `read` tells of; without any the row is counted as
    /// one [`Features::without`]. Whether it was added.
    pub(crate) fn push(&mut self, row: u64, read: impl FnOnce(&mut Collect<'_>) -> Result<(), Stop>) -> bool {
        let (positions, parts) = (self.positions.len(), self.parts.len());
        let mut collect = Collect { features: self, kind: 0, start: positions };
        let result = read(&mut collect);
        if result.is_err() || self.parts.len() == parts {
            self.positions.truncate(positions);
            self.parts.truncate(parts);
            self.without += 1;
            return false;
        }
        self.end_feature(row);
        true
    }

    fn end_part(&mut self, kind: Kind) {
        self.parts.push(Part { kind, end: self.positions.len() as u32 });
    }

    fn end_feature(&mut self, row: u64) {
        self.ends.push(self.parts.len() as u32);
        self.rows.push(row);
    }

    /// Leaves out parts of which `keep` says no, and features of which no part is left, which are counted
    /// as [`Features::without`]. Tells of each feature whether it stayed. For features without values.
    pub(crate) fn retain(&mut self, keep: impl Fn(&[[f64; 2]]) -> bool) -> Vec<bool> {
        let mut out = Self { without: self.without, ..Self::default() };
        let mut kept = vec![true; self.len()];
        for (feature, kept) in kept.iter_mut().enumerate() {
            let before = out.parts.len();
            for (kind, positions) in self.parts(feature) {
                if keep(positions) {
                    out.positions.extend_from_slice(positions);
                    out.end_part(kind);
                }
            }
            if out.parts.len() > before {
                out.end_feature(self.rows[feature]);
            } else {
                out.without += 1;
                *kept = false;
            }
        }
        *self = out;
        kept
    }

    /// Changes the positions of each part of more than one position.
    pub(crate) fn each_part(&mut self, change: impl Fn(&mut [[f64; 2]])) {
        let mut from = 0;
        for part in &self.parts {
            let end = part.end as usize;
            if end - from > 1 {
                change(&mut self.positions[from..end]);
            }
            from = end;
        }
    }

    /// Takes over all of another, of rows that follow. Values are not looked at.
    pub(crate) fn append(&mut self, other: &Self) {
        let (positions, parts) = (self.positions.len() as u32, self.parts.len() as u32);
        self.positions.extend_from_slice(&other.positions);
        self.parts.extend(other.parts.iter().map(|part| Part { end: part.end + positions, ..*part }));
        self.ends.extend(other.ends.iter().map(|end| end + parts));
        self.rows.extend_from_slice(&other.rows);
        self.without += other.without;
    }
}

/// Takes a geometry in.
pub(crate) struct Collect<'a> {
    features: &'a mut Features,
    kind: u32,
    /// Where the positions begin of the list that is open.
    start: usize,
}

impl Visit for Collect<'_> {
    fn begin(&mut self, kind: u32, _z: bool, _m: bool) -> Result<(), Stop> {
        self.kind = kind;
        self.start = self.features.positions.len();
        Ok(())
    }

    fn empty(&mut self) -> Result<(), Stop> {
        Ok(())
    }

    fn open(&mut self) -> Result<(), Stop> {
        self.start = self.features.positions.len();
        Ok(())
    }

    fn next(&mut self) -> Result<(), Stop> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stop> {
        let kind = if matches!(self.kind, 3 | 6) { Kind::Ring } else { Kind::Line };
        if self.features.positions.len() > self.start {
            self.features.end_part(kind);
        }
        self.start = self.features.positions.len();
        Ok(())
    }

    fn position(&mut self, values: &[f64], alone: bool) -> Result<(), Stop> {
        let &[x, y, ..] = values else { return Err(Stop::Invalid) };
        self.features.positions.push([x, y]);
        if alone {
            self.features.end_part(Kind::Point);
            self.start = self.features.positions.len();
        }
        if self.features.positions.len() > MOST_POSITIONS { Err(Stop::Full) } else { Ok(()) }
    }
}
