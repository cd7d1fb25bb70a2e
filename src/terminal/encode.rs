//! Changed cells as bytes for the terminal, as few as are needed: over a slow line each counts.
//!
//! A colour of 24 bits is a sequence of twenty bytes, a step to the cell below is two. So cells are
//! written row by row, and again style by style over all rows, and the shorter of both is sent. Of a
//! style only what differs from the one before is named; of a blank only its background counts.
//!
//! Sequences: ECMA-48, 8.3.21 (CUP), 8.3.20 (CUF), 8.3.117 (SGR), and the control characters BS, CR, LF.

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};
use std::collections::HashMap;
use std::io::Write as _;
use std::ops::Range;

/// What of a style is seen on a blank.
const ON_BLANKS: Modifier = Modifier::UNDERLINED.union(Modifier::REVERSED).union(Modifier::CROSSED_OUT);

/// Steps that are tried instead of an address.
const NEAR: u16 = 6;

/// A changed cell: column, row, what stands there.
pub(super) type Changed<'a> = (u16, u16, &'a Cell);

/// The bytes that draw `cells`, which stand row by row, on a terminal so many columns wide. The style is
/// the terminal's own before and after it.
pub(super) fn encode(cells: &[Changed], columns: u16) -> Vec<u8> {
    let mut runs = runs(cells);
    let by_row = write(cells, &runs, columns);
    runs.sort_by_key(|run| run.style);
    let by_style = write(cells, &runs, columns);
    if by_style.len() < by_row.len() { by_style } else { by_row }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Look {
    fg: Color,
    bg: Color,
    line: Color,
    modifier: Modifier,
}

impl Look {
    /// That of the terminal itself.
    const PLAIN: Self = Self { fg: Color::Reset, bg: Color::Reset, line: Color::Reset, modifier: Modifier::empty() };

    fn of(cell: &Cell) -> Self {
        Self { fg: cell.fg, bg: cell.bg, line: cell.underline_color, modifier: cell.modifier }
    }

    /// Whether a blank of that background looks the same in this style.
    fn holds_blank(&self, bg: Color) -> bool {
        self.bg == bg && !self.modifier.intersects(ON_BLANKS)
    }
}

/// Neighbours in a row that are written in one style.
struct Run {
    /// Indices of its cells.
    cells: Range<usize>,
    look: Look,
    /// Of blanks alone: only their background counts.
    blank: bool,
    /// The number of its style, in the order of their first use.
    style: usize,
}

fn is_blank(cell: &Cell) -> bool {
    cell.symbol() == " " && !cell.modifier.intersects(ON_BLANKS)
}

fn runs(cells: &[Changed]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (i, (x, y, cell)) in cells.iter().enumerate() {
        let (blank, look) = (is_blank(cell), Look::of(cell));
        let follows = i > 0 && cells[i - 1].1 == *y && cells[i - 1].0.checked_add(1) == Some(*x);
        if let Some(run) = runs.last_mut().filter(|_| follows) {
            let adopts = run.blank && !blank && look.holds_blank(run.look.bg);
            if adopts {
                (run.look, run.blank) = (look, false);
            }
            if adopts || run.look == look || (blank && run.look.holds_blank(look.bg)) {
                run.cells.end = i + 1;
                continue;
            }
        }
        let look = if blank { Look { bg: look.bg, ..Look::PLAIN } } else { look };
        runs.push(Run { cells: i..i + 1, look, blank, style: 0 });
    }
    let mut known = HashMap::new();
    for run in &mut runs {
        let next = known.len();
        run.style = *known.entry(run.look).or_insert(next);
    }
    runs
}

fn write(cells: &[Changed], runs: &[Run], columns: u16) -> Vec<u8> {
    let mut pen = Pen { out: Vec::new(), at: None, sure: false, look: Look::PLAIN, columns };
    for run in runs {
        let (x, y, _) = cells[run.cells.start];
        pen.go(x, y);
        if !(run.blank && pen.look.holds_blank(run.look.bg)) {
            pen.dress(run.look, run.blank);
        }
        for (_, _, cell) in &cells[run.cells.clone()] {
            pen.put(cell.symbol());
        }
    }
    if pen.look != Look::PLAIN {
        pen.out.extend_from_slice(b"\x1b[m");
    }
    pen.out
}

/// Where the terminal's cursor is, and in which style it writes.
struct Pen {
    out: Vec<u8>,
    at: Option<(u16, u16)>,
    /// Only plain ASCII was written since the last address: terminals do not agree on the width of all else.
    sure: bool,
    look: Look,
    columns: u16,
}

impl Pen {
    fn go(&mut self, x: u16, y: u16) {
        if self.at == Some((x, y)) {
            return;
        }
        let steps = self.at.filter(|_| self.sure).and_then(|from| steps(from, (x, y)));
        let address = format!("\x1b[{};{}H", u32::from(y) + 1, u32::from(x) + 1);
        match steps {
            Some(steps) if steps.len() < address.len() => self.out.extend_from_slice(&steps),
            _ => {
                self.out.extend_from_slice(address.as_bytes());
                self.sure = true;
            }
        }
        self.at = Some((x, y));
    }

    fn put(&mut self, symbol: &str) {
        self.out.extend_from_slice(symbol.as_bytes());
        self.sure &= symbol.len() == 1;
        // Behind the last column terminals wait with the line break, each in its own way.
        self.at = self.at.and_then(|(x, y)| Some((x.checked_add(1).filter(|x| *x < self.columns)?, y)));
    }

    /// Names what differs from the style before. Of blanks the colour of letters may be any.
    fn dress(&mut self, mut wanted: Look, blank: bool) {
        let mut codes = Vec::new();
        let mut now = self.look;
        if blank {
            wanted.modifier = now.modifier.difference(ON_BLANKS);
        }
        if !wanted.modifier.contains(now.modifier) {
            // Bold and dim end with the same number: what ends is ended together.
            codes.push("0".to_owned());
            now = Look::PLAIN;
            if blank {
                wanted.modifier = now.modifier;
            }
        }
        if blank {
            (wanted.fg, wanted.line) = (now.fg, now.line);
        }
        codes.extend(modifiers(wanted.modifier.difference(now.modifier)).map(|n| n.to_string()));
        if wanted.fg != now.fg {
            codes.push(colour(wanted.fg, 30));
        }
        if wanted.bg != now.bg {
            codes.push(colour(wanted.bg, 40));
        }
        if wanted.line != now.line {
            codes.push(line_colour(wanted.line));
        }
        if !codes.is_empty() {
            // Writing to memory does not fail.
            let _ = write!(self.out, "\x1b[{}m", codes.join(";"));
        }
        self.look = wanted;
    }
}

/// Relative steps from one cell to another, where they are few: never upwards.
fn steps(from: (u16, u16), to: (u16, u16)) -> Option<Vec<u8>> {
    let down = to.1.checked_sub(from.1).filter(|n| *n <= NEAR)?;
    let mut x = from.0;
    let mut out = Vec::new();
    if to.0 < x && x - to.0 > NEAR {
        out.push(b'\r');
        x = 0;
    }
    out.extend(std::iter::repeat_n(b'\x08', usize::from(x.saturating_sub(to.0))));
    out.extend(std::iter::repeat_n(b'\n', usize::from(down)));
    match to.0.saturating_sub(x) {
        0 => {}
        1 => out.extend_from_slice(b"\x1b[C"),
        n => out.extend_from_slice(format!("\x1b[{n}C").as_bytes()),
    }
    Some(out)
}

/// The SGR numbers of modifiers.
fn modifiers(of: Modifier) -> impl Iterator<Item = u8> {
    const CODES: [(Modifier, u8); 9] = [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::SLOW_BLINK, 5),
        (Modifier::RAPID_BLINK, 6),
        (Modifier::REVERSED, 7),
        (Modifier::HIDDEN, 8),
        (Modifier::CROSSED_OUT, 9),
    ];
    CODES.into_iter().filter(move |(modifier, _)| of.contains(*modifier)).map(|(_, code)| code)
}

/// The number of one of the sixteen colours.
fn index(colour: Color) -> Option<u8> {
    Some(match colour {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => return None,
    })
}

/// SGR of a colour: `base` is 30 for letters and 40 for what is behind them.
pub(super) fn colour(colour: Color, base: u8) -> String {
    match (colour, index(colour)) {
        (Color::Rgb(r, g, b), _) => format!("{};2;{r};{g};{b}", base + 8),
        (Color::Indexed(n), _) => format!("{};5;{n}", base + 8),
        (_, Some(n)) if n < 8 => (base + n).to_string(),
        (_, Some(n)) => (base + 60 + n - 8).to_string(),
        (_, None) => (base + 9).to_string(),
    }
}

/// SGR of the colour of underlines, which has no short names.
fn line_colour(colour: Color) -> String {
    match (colour, index(colour)) {
        (Color::Rgb(r, g, b), _) => format!("58;2;{r};{g};{b}"),
        (Color::Indexed(n), _) | (_, Some(n)) => format!("58;5;{n}"),
        (_, None) => "59".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ratatui::backend::{Backend as _, CrosstermBackend};
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    const AREA: Rect = Rect { x: 0, y: 0, width: 12, height: 5 };

    /// What is seen of each cell: of blanks only their background.
    fn seen(screen: &vt100::Screen) -> Vec<String> {
        let cells = (0..AREA.height).flat_map(|row| (0..AREA.width).map(move |column| (row, column)));
        let look = |(row, column)| {
            let cell = screen.cell(row, column).expect("a cell");
            let (behind, text) = (format!("{:?} {}", cell.bgcolor(), cell.inverse()), cell.contents());
            if (text.is_empty() || text == " ") && !cell.underline() && !cell.inverse() {
                return behind;
            }
            let modifiers = (cell.bold(), cell.dim(), cell.italic(), cell.underline());
            format!("{behind} {text} {:?} {modifiers:?}", cell.fgcolor())
        };
        cells.map(look).collect()
    }

    fn cell() -> impl Strategy<Value = Cell> {
        let symbol = prop::sample::select(vec![" ", " ", " ", "a", "7", "─", "é"]);
        let colours = vec![Color::Reset, Color::Red, Color::LightCyan, Color::Indexed(99), Color::Rgb(1, 2, 3)];
        let modifier = prop::sample::select(vec![
            Modifier::empty(),
            Modifier::empty(),
            Modifier::BOLD,
            Modifier::DIM | Modifier::ITALIC,
            Modifier::UNDERLINED,
            Modifier::REVERSED,
        ]);
        (symbol, prop::sample::select(colours.clone()), prop::sample::select(colours), modifier).prop_map(
            |(symbol, fg, bg, modifier)| {
                let mut cell = Cell::default();
                cell.set_symbol(symbol).set_fg(fg).set_bg(bg);
                cell.modifier = modifier;
                cell
            },
        )
    }

    fn frames() -> impl Strategy<Value = Vec<Vec<(u16, Cell)>>> {
        let change = (0..AREA.width * AREA.height, cell());
        prop::collection::vec(prop::collection::vec(change, 0..40), 1..4)
    }

    proptest! {
        #[test]
        fn the_terminal_shows_what_ratatui_would_have_it_show(frames in frames()) {
            let mut before = Buffer::empty(AREA);
            let new = || vt100::Parser::new(AREA.height, AREA.width, 0);
            let (mut ours, mut theirs) = (new(), new());
            for changes in frames {
                let mut after = before.clone();
                for (at, cell) in changes {
                    after.content[usize::from(at)] = cell;
                }
                let cells = before.diff(&after);
                ours.process(&encode(&cells, AREA.width));
                let mut bytes = Vec::new();
                CrosstermBackend::new(&mut bytes).draw(cells.into_iter()).expect("drawn");
                theirs.process(&bytes);
                prop_assert_eq!(seen(ours.screen()), seen(theirs.screen()));
                before = after;
            }
        }
    }

    #[test]
    fn a_column_of_digits_costs_three_bytes_a_row() {
        let before = Buffer::with_lines(["k1 2.5 MB"; 5]);
        let mut after = Buffer::with_lines(["k2 3.5 MB"; 5]);
        for y in 0..5 {
            for x in 3..9 {
                after[(x, y)].set_fg(Color::Rgb(200, 100, 50));
            }
        }
        let mut first = before.clone();
        for y in 0..5 {
            for x in 3..9 {
                first[(x, y)].set_fg(Color::Rgb(200, 100, 50));
            }
        }
        let bytes = encode(&first.diff(&after), 9);
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(
            text,
            "\x1b[1;2H2\x08\n2\x08\n2\x08\n2\x08\n2\x1b[1;4H\x1b[38;2;200;100;50m3\x08\n3\x08\n3\x08\n3\x08\n3\x1b[m"
        );
    }
}
