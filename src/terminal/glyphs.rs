//! ASCII in place of what a terminal without UTF-8 cannot show.

use ratatui::buffer::Buffer;
use unicode_width::UnicodeWidthStr;

/// Replaces every symbol beyond ASCII in `buffer` by one that looks alike, or by `?`.
pub fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.symbol().is_ascii() {
            continue;
        }
        // The second half of a wide symbol is a blank cell of its own, and stays.
        let symbol = if cell.symbol().width() == 0 { ' ' } else { cell.symbol().chars().next().map_or(' ', ascii) };
        cell.set_char(symbol);
    }
}

/// A character of ASCII that looks like `c`.
pub fn ascii(c: char) -> char {
    match c {
        '\0'..='\x7f' => c,
        '─' | '━' | '┄' | '┅' | '┈' | '┉' | '╌' | '╍' | '═' | '╴' | '╶' | '╸' | '╺' | '–' | '—' | '−' | '‐' | '‑'
        | '▔' | '⎺' | '⎻' => '-',
        '│' | '┃' | '┆' | '┇' | '┊' | '┋' | '║' | '╎' | '╏' | '╵' | '╷' | '▏' | '▕' | '▎' | '▍' => {
            '|'
        }
        '┌'..='╋' | '╒'..='╬' | '╭'..='╰' => '+',
        '╱' | '⟋' => '/',
        '╲' => '\\',
        '╳' | '×' | '✗' | '✘' | '✕' | '✖' => 'x',
        '▸' | '▶' | '►' | '›' | '→' | '❯' | '»' | '⏵' | '≥' => '>',
        '◂' | '◀' | '◄' | '‹' | '←' | '❮' | '«' | '⏴' | '≤' => '<',
        '▾' | '▼' | '↓' | '⏷' | '⌄' => 'v',
        '▴' | '▲' | '↑' | '⏶' | '⌃' => '^',
        '•' | '●' | '◆' | '■' | '★' | '◉' | '⬤' | '✱' | '✓' | '✔' => '*',
        '○' | '◇' | '□' | '☆' | '◯' | '°' => 'o',
        '…' | '≈' => '~',
        '·' | '․' | '⋅' | '░' => '.',
        '‘' | '’' | '′' => '\'',
        '“' | '”' | '″' => '"',
        '⟳' | '↻' | '⟲' => '@',
        'µ' | 'μ' => 'u',
        '²' => '2',
        '³' => '3',
        '▁' | '▂' => '_',
        '▃' | '▄' => '=',
        '▒' => ':',
        '▅'..='█' | '▀' | '▉'..='▌' | '▐' | '▓' | '▖'..='▟' => '#',
        '⠁'..='⣿' => {
            if (c as u32 - 0x2800).count_ones() > 3 {
                ':'
            } else {
                '.'
            }
        }
        '⠀' | '\u{a0}' | '\u{2000}'..='\u{200a}' => ' ',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::buffer::Cell;
    use ratatui::widgets::{Block, Widget};

    #[test]
    fn a_frame_becomes_ascii_and_keeps_its_columns() {
        let mut buffer = Buffer::with_lines(["▸ 水x … é", "─┐⣿é"]);
        to_ascii(&mut buffer);
        assert_eq!(buffer, Buffer::with_lines(["> ? x ~ ?", "-+:?"]));
        let mut buffer = Buffer::empty(ratatui::layout::Rect::new(0, 0, 4, 3));
        Block::bordered().border_type(ratatui::widgets::BorderType::Rounded).render(buffer.area, &mut buffer);
        to_ascii(&mut buffer);
        assert!(buffer.content.iter().map(Cell::symbol).all(str::is_ascii));
    }
}
