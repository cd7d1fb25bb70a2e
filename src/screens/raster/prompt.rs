//! A line to type into: the values between which colours are spread, or the address of a second raster.

use super::compare::How;
use super::layer::Layer;
use crate::location::Location;
use crate::map::short;
use crate::screen::Cx;
use crate::screens::popup;
use crate::theme::Role;
use crate::widgets::input::{Edit, Input};
use ratatui::text::{Line, Span};

/// What was answered.
pub(super) enum Answer {
    /// Values of the first and the last colour, as stored.
    Range(f64, f64),
    /// Another raster.
    Second(Location, How),
}

enum Kind {
    /// The factor and offset of the band make stored values physical ones.
    Range(crate::scene::Band),
    Second(How),
}

/// The line.
pub(super) struct Prompt {
    kind: Kind,
    input: Input,
    /// What is offered, and which of it stands in the line.
    offered: Vec<String>,
    at: usize,
    wrong: Option<String>,
}

impl Prompt {
    /// For the values between which colours are spread, those of now in it.
    pub(super) fn range(layer: &Layer) -> Self {
        let band = layer.band(0).cloned().unwrap_or_default();
        let now = layer.composed.as_ref().and_then(|c| c.limits.each.first().copied());
        let text = now.map(|(low, high)| format!("{} {}", short(band.physical(low)), short(band.physical(high))));
        Self {
            kind: Kind::Range(band),
            input: Input::new(text.unwrap_or_default()),
            offered: Vec::new(),
            at: 0,
            wrong: None,
        }
    }

    /// For the address of a second raster; what is selected is offered.
    pub(super) fn second(how: How, here: Option<&Location>, selected: &[Location]) -> Self {
        let mut offered: Vec<String> = selected.iter().map(ToString::to_string).collect();
        offered.extend(here.and_then(Location::parent).map(|folder| folder.to_string()));
        let first = offered.first().cloned().unwrap_or_default();
        Self { kind: Kind::Second(how), input: Input::new(first), offered, at: 0, wrong: None }
    }

    pub(super) fn edit(&mut self, edit: &Edit) {
        self.wrong = None;
        self.input.apply(edit);
    }

    /// The next of what is offered, or the one before.
    pub(super) fn propose(&mut self, forward: bool) {
        let n = self.offered.len();
        if n > 0 {
            self.at = (self.at + if forward { 1 } else { n - 1 }) % n;
            self.input = Input::new(self.offered[self.at].clone());
        }
    }

    /// What was typed, once it makes sense.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let text = self.input.text().trim();
        let answer = match &self.kind {
            Kind::Range(band) => parse(text).map(|(low, high)| {
                let (a, b) = (band.stored(low), band.stored(high));
                Answer::Range(a.min(b), a.max(b))
            }),
            Kind::Second(how) => Location::parse(text).map_err(|err| err.to_string()).and_then(|location| {
                if location.is_container() {
                    Err("a folder: type the name of a file".to_owned())
                } else {
                    Ok(Answer::Second(location, *how))
                }
            }),
        };
        match answer {
            Ok(answer) => Some(answer),
            Err(why) => {
                self.wrong = Some(why);
                None
            }
        }
    }

    /// The line, and what there is to say about it.
    pub(super) fn lines<'a>(&self, width: u16, cx: &Cx) -> [Line<'a>; 2] {
        let (mark, words) = match &self.kind {
            Kind::Range(band) => {
                let unit = band.unit.as_ref().map(|u| format!(" in {u}")).unwrap_or_default();
                ("from to", format!("the values of the first and the last colour{unit}: 0 100"))
            }
            Kind::Second(_) if self.offered.len() > 1 => {
                ("with", "a raster to compare with; Up and Down: what is selected".to_owned())
            }
            Kind::Second(_) => ("with", "the address of a raster to compare with".to_owned()),
        };
        let mut line = popup::input_line(&self.input, width.saturating_sub(mark.len() as u16), mark, cx);
        line.spans.insert(0, Span::raw(" "));
        let (words, role) = self.wrong.clone().map_or((words, Role::Dim), |wrong| (wrong, Role::Bad));
        let words = crate::text::fit(&crate::text::clean(&words), usize::from(width.saturating_sub(2))).into_owned();
        [line, Line::from(Span::styled(format!(" {words}"), cx.theme.style(role)))]
    }
}

/// Two numbers, apart by a space, a comma, a semicolon or dots.
fn parse(text: &str) -> Result<(f64, f64), String> {
    let parts = text.replace("..", " ").replace(['…', ';', ','], " ");
    let numbers: Result<Vec<f64>, _> = parts.split_whitespace().map(str::parse).collect();
    match numbers.as_deref() {
        Ok([low, high]) if low.is_finite() && high.is_finite() => Ok((*low, *high)),
        _ => Err("two numbers are needed, the lower and the upper one: 0 100".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_are_understood_in_several_ways() {
        for text in ["-5 100", "-5, 100", "-5..100", " -5…100 ", "-5;1e2"] {
            assert_eq!(parse(text), Ok((-5.0, 100.0)), "{text}");
        }
        for text in ["", "5", "1 2 3", "a b", "nan 1", "inf 1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
