//! Text for the screen: foreign strings made harmless, sizes and times in words.

use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` without control characters: C0 becomes its Unicode picture (`␛`), C1, line and
/// bidirectional controls become `�`, so that nothing from outside can move the cursor, set a
/// title or reorder what is read.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_hostile(c) { picture(c) } else { c }).collect())
}

fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn picture(c: char) -> char {
    match c as u32 {
        n @ 0..=0x1f => char::from_u32(0x2400 + n).unwrap_or('\u{fffd}'),
        0x7f => '␡',
        _ => '\u{fffd}',
    }
}

/// Columns that `text` takes on the screen.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` cut to `columns` with an ellipsis at the end.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > columns - 1 {
            break;
        }
        used += w;
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

/// `text` cut to `columns` in its middle, so that both the start and the suffix stay readable.
pub fn fit_middle(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns || columns < 5 {
        return fit(text, columns);
    }
    let tail_columns = (columns - 1) / 2;
    let mut tail = Vec::new();
    let mut used = 0;
    for c in text.chars().rev() {
        let w = c.width().unwrap_or(0);
        if used + w > tail_columns {
            break;
        }
        used += w;
        tail.push(c);
    }
    let head_columns = columns - 1 - used;
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > head_columns {
            break;
        }
        used += w;
        out.push(c);
    }
    out.push('…');
    out.extend(tail.into_iter().rev());
    Cow::Owned(out)
}

/// Bytes in binary units: `312.4 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    if value >= 999.95 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Bytes per second: `84.0 MiB/s`.
pub fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", bytes(bytes_per_second.max(0.0) as u64))
}

/// A count with thin groups: `1,204,331`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A duration as a person says it: `48 ms`, `12 s`, `3 min 20 s`, `2 h 05 min`.
pub fn duration(d: std::time::Duration) -> String {
    let ms = d.as_millis();
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{:.1} s", d.as_secs_f64()),
        10_000..60_000 => format!("{} s", ms / 1000),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// A command line that a shell reads as these words, starting with `secchi`.
pub fn command_line(words: &[String]) -> String {
    let mut out = "secchi".to_owned();
    for word in words {
        out.push(' ');
        out.push_str(&shell(word));
    }
    out
}

/// `word` as a shell reads it: bare where it is plain, quoted where it is not. Where it holds control
/// characters it is written in the `$'…'` of bash, zsh and POSIX 2024, so that pasting it presses no key.
pub fn shell(word: &str) -> String {
    let is_plain = |c: char| (c.is_alphanumeric() || "-_./:=@,+%".contains(c)) && !is_hostile(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if !word.chars().any(is_hostile) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut out = "$'".to_owned();
    for c in word.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Octal of each byte: three digits always, so that nothing behind is taken for one of them.
            c if is_hostile(c) => {
                out.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")));
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}]0;x\u{7}\u{9b}2J\u{202e}b"), "a␛]0;x␇\u{fffd}2J\u{fffd}b");
        assert!(matches!(clean("Järvi 湖"), Cow::Borrowed(_)));
    }

    #[test]
    fn cutting_counts_columns_not_bytes() {
        assert_eq!(fit("湖湖湖", 5), "湖湖…");
        assert_eq!(fit_middle("B02_B03_B04_B08.tif", 11), "B02_B…8.tif");
        assert_eq!(fit("abc", 3), "abc");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(count(1_204_331), "1,204,331");
        assert_eq!(duration(std::time::Duration::from_secs(3725)), "1 h 02 min");
    }
}
