//! Several threads for one piece of work that keeps processors busy for some milliseconds.

/// More would help one piece of work little, and take processors from others on a login node.
const MOST: usize = 4;

/// How many threads one piece of work may have, this one among them: one for each processor, four at most.
pub(crate) fn most() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST)
}

/// Works on all parts at once, on the first here and on each other one by a thread of its own. What comes of them is
/// in their order. Blocks until all are done.
///
/// # Panics
/// Where the work on one of them did.
pub(crate) fn at_once<P: Send, R: Send>(parts: impl IntoIterator<Item = P>, work: impl Fn(P) -> R + Sync) -> Vec<R> {
    let mut parts = parts.into_iter();
    let Some(own) = parts.next() else { return Vec::new() };
    let work = &work;
    std::thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        let own = work(own);
        let others =
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        std::iter::once(own).chain(others).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_parts_is_in_their_order() {
        assert!((1..=MOST).contains(&most()));
        // The later ones are ready first.
        let (tell, heard) = std::sync::mpsc::channel();
        let heard = std::sync::Mutex::new(heard);
        let made = at_once(0..2, |part| {
            if part == 0 {
                heard.lock().expect("a lock").recv().expect("the other one");
            } else {
                tell.send(()).expect("tells");
            }
            part * 10
        });
        assert_eq!(made, [0, 10]);
        assert!(at_once(0..0, |part: i32| part).is_empty());
        let failed = std::panic::catch_unwind(|| at_once(0..2, |part| assert!(part == 0, "part {part}")));
        assert!(failed.is_err());
    }
}
