//! A progress bar with eighths of a character.

use ratatui::style::Style;
use ratatui::text::Span;

const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A bar of `width` characters, `fraction` of it full: the full part and the rest, to be styled apart.
/// `None` is a bar of which nothing is known.
pub fn bar(fraction: Option<f64>, width: usize, unicode: bool) -> (String, String) {
    let rest = if unicode { '·' } else { '.' };
    let Some(fraction) = fraction.filter(|f| f.is_finite()) else {
        return (String::new(), rest.to_string().repeat(width));
    };
    let eighths = (fraction.clamp(0.0, 1.0) * (width * 8) as f64) as usize;
    let (full, part) = (eighths / 8, eighths % 8);
    let mut done = if unicode { "█" } else { "#" }.repeat(full);
    let mut used = full;
    if part > 0 {
        done.push(if unicode { EIGHTHS[part - 1] } else { '-' });
        used += 1;
    }
    (done, rest.to_string().repeat(width.saturating_sub(used)))
}

/// The same as two spans.
pub fn spans(fraction: Option<f64>, width: usize, unicode: bool, full: Style, rest: Style) -> [Span<'static>; 2] {
    let (done, left) = bar(fraction, width, unicode);
    [Span::styled(done, full), Span::styled(left, rest)]
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_is_always_as_wide_as_asked() {
        assert_eq!(bar(Some(0.5), 4, true), ("██".into(), "··".into()));
        assert_eq!(bar(Some(0.5625), 4, true), ("██▎".into(), "·".into()));
        assert_eq!(bar(Some(2.0), 4, false), ("####".into(), String::new()));
        assert_eq!(bar(None, 3, true), (String::new(), "···".into()));
        for i in 0..100 {
            let (done, rest) = bar(Some(f64::from(i) / 99.0), 7, true);
            assert_eq!(done.chars().count() + rest.chars().count(), 7);
        }
    }
}
