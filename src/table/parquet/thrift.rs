//! The little of Thrift's compact protocol that is read here: headers of pages and the offset index, with no
//! allocation that a lie about a size could blow up, and a look through a footer before it is decoded.
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

/// Structures nested deeper than this are nonsense.
const DEEPEST: usize = 48;

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// Reads on in bytes; every method gives `None` at their end and at nonsense.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The head of a field: its type and its number.
pub(super) struct Field {
    pub(super) kind: u8,
    pub(super) id: i16,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A zigzag integer of any width.
    pub(super) fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A zigzag integer that is no count below zero.
    pub(super) fn count(&mut self) -> Option<u64> {
        u64::try_from(self.integer()?).ok()
    }

    pub(super) fn binary(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let bytes = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(bytes)
    }

    /// The next field of a structure of which `last` was the field before; one of kind [`STOP`] at its end.
    fn field(&mut self, last: i16) -> Option<Field> {
        let byte = self.byte()?;
        let kind = byte & 0x0f;
        if kind == STOP {
            return Some(Field { kind, id: last });
        }
        let id = match byte >> 4 {
            0 => i16::try_from(self.integer()?).ok()?,
            delta => last.checked_add(i16::from(delta))?,
        };
        Some(Field { kind, id })
    }

    /// The type and the number of elements of a list; more than there are bytes left is nonsense.
    pub(super) fn list(&mut self) -> Option<(u8, usize)> {
        let byte = self.byte()?;
        let size = match byte >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            size => usize::from(size),
        };
        (size <= self.bytes.len() - self.at).then_some((byte & 0x0f, size))
    }

    /// Elements of a list of booleans.
    pub(super) fn booleans(&mut self) -> Option<Vec<bool>> {
        let (_, size) = self.list()?;
        (0..size).map(|_| self.byte().map(|b| b == TRUE)).collect()
    }

    /// Elements of a list of integers.
    pub(super) fn integers(&mut self) -> Option<Vec<i64>> {
        let (_, size) = self.list()?;
        (0..size).map(|_| self.integer()).collect()
    }

    /// Elements of a list of binaries.
    pub(super) fn binaries(&mut self) -> Option<Vec<&'a [u8]>> {
        let (_, size) = self.list()?;
        (0..size).map(|_| self.binary()).collect()
    }

    /// Goes through the fields of a structure; `read` says `Some(true)` where it read the field.
    pub(super) fn structure(&mut self, mut read: impl FnMut(&mut Self, &Field) -> Option<bool>) -> Option<()> {
        let mut last = 0;
        loop {
            let field = self.field(last)?;
            if field.kind == STOP {
                return Some(());
            }
            last = field.id;
            if !read(self, &field)? {
                self.skip(field.kind, DEEPEST)?;
            }
        }
    }

    /// Goes over a value of this type.
    pub(super) fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TRUE | FALSE => {}
            BYTE => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            DOUBLE => self.forward(8)?,
            BINARY => drop(self.binary()?),
            UUID => self.forward(16)?,
            LIST | SET => {
                let (kind, size) = self.list()?;
                for _ in 0..size {
                    self.element(kind, depth)?;
                }
            }
            MAP => {
                let size = usize::try_from(self.varint()?).ok()?;
                if size > 0 {
                    let kinds = self.byte()?;
                    for _ in 0..size {
                        self.element(kinds >> 4, depth)?;
                        self.element(kinds & 0x0f, depth)?;
                    }
                }
            }
            STRUCT => {
                let mut last = 0;
                loop {
                    let field = self.field(last)?;
                    if field.kind == STOP {
                        break;
                    }
                    last = field.id;
                    self.skip(field.kind, depth)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Booleans take a byte where they are elements.
    fn element(&mut self, kind: u8, depth: usize) -> Option<()> {
        if matches!(kind, TRUE | FALSE) { self.byte().map(drop) } else { self.skip(kind, depth) }
    }

    fn forward(&mut self, by: usize) -> Option<()> {
        self.at = self.at.checked_add(by).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }
}

/// Whether these bytes are one whole structure: the decoder makes room for as many elements as a list claims
/// to have.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    Reader::new(bytes).skip(STRUCT, DEEPEST).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_claims_more_than_there_is_is_refused() {
        // Field 2, a list of structures; 2^31 of them.
        let lie = [0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00, 0x00];
        assert!(!is_whole(&lie));
        assert!(is_whole(&[0x29, 0x2c, 0x00, 0x00, 0x00]));
        assert!(!is_whole(&[0x29, 0x2c, 0x00, 0x00]), "cut short");
        let deep = [0x1c; 4096];
        assert!(!is_whole(&deep));
    }

    #[test]
    fn integers_are_zigzag() {
        assert_eq!(Reader::new(&[0x01]).integer(), Some(-1));
        assert_eq!(Reader::new(&[0xac, 0x02]).integer(), Some(150));
        assert_eq!(Reader::new(&[0xff; 11]).integer(), None);
    }
}
