//! A series as one line of text: `▁▃▅▇`.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 8] = ['_', '.', '-', ':', '=', '+', '*', '#'];

/// The mark of a height of 0 to 7.
pub fn level(height: usize, unicode: bool) -> char {
    (if unicode { BLOCKS } else { ASCII })[height.min(7)]
}

/// `values` in at most `width` characters, oldest first, scaled to their largest. More values than
/// characters are averaged in groups; values that are no numbers count as 0.
pub fn text(values: &[f64], width: usize, unicode: bool) -> String {
    let columns = values.len().min(width);
    if columns == 0 {
        return String::new();
    }
    let heights: Vec<f64> = (0..columns)
        .map(|i| {
            let (from, to) = (i * values.len() / columns, (i + 1) * values.len() / columns);
            let group = &values[from..to.max(from + 1)];
            group.iter().filter(|v| v.is_finite()).map(|v| v.max(0.0)).sum::<f64>() / group.len() as f64
        })
        .collect();
    let top = heights.iter().copied().fold(0.0, f64::max);
    heights
        .into_iter()
        .map(|v| {
            let height = if top > 0.0 { (v / top * 7.0).round() } else { 0.0 };
            level(height as usize, unicode)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn heights_follow_the_values_and_groups_are_averaged() {
        assert_eq!(text(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 8, true), "▁▂▃▄▅▆▇█");
        assert_eq!(text(&[0.0, 2.0, 6.0, 8.0], 2, false), "_#".replace('_', "."));
        assert_eq!(text(&[0.0, 0.0], 5, true), "▁▁");
        assert_eq!(text(&[f64::NAN, 1.0], 5, true), "▁█");
        assert_eq!(text(&[], 5, true), "");
        assert_eq!(text(&[1.0], 0, true), "");
    }
}
