//! The gallery against ratatui's own diff: what a terminal would be sent, frame by frame.

use super::*;
use ratatui::widgets::{Clear, Widget};

fn picture(value: u8) -> Picture {
    Picture { width: 32, height: 32, rgba: [value, 0, 0, 255].repeat(32 * 32).into() }
}

fn gallery(graphics: Graphics) -> (Gallery, Waker) {
    let waker = Waker::new();
    let gallery = Gallery::new(waker.clone());
    gallery.adapt(&Caps {
        graphics,
        unicode: true,
        colours: Colours::TrueColour,
        sixel_colours: 256,
        ..Caps::default()
    });
    (gallery, waker)
}

fn show(gallery: &Gallery, buffer: &mut Buffer, picture: &Picture) {
    gallery.place(buffer, AREA, 0, picture);
}

const SCREEN: Rect = Rect { x: 0, y: 0, width: 20, height: 8 };
const AREA: Rect = Rect { x: 2, y: 1, width: 8, height: 4 };

/// A frame: the new buffer, how many cells ratatui would write, and the bytes of the gallery.
fn frame(gallery: &Gallery, before: &Buffer, draw: impl FnOnce(&mut Buffer)) -> (Buffer, usize, String) {
    let mut buffer = Buffer::empty(SCREEN);
    draw(&mut buffer);
    gallery.finish(&mut buffer);
    let written = before.diff(&buffer).len();
    let mut bytes = Vec::new();
    gallery.flush(&mut bytes);
    (buffer, written, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn half_blocks_first_then_the_picture_then_nothing() {
    for graphics in [Graphics::Kitty, Graphics::Sixel, Graphics::Iterm2] {
        let (gallery, waker) = gallery(graphics);
        let red = picture(200);
        let place = |b: &mut Buffer| {
            gallery.place(b, AREA, 0, &red);
        };
        let empty = Buffer::empty(SCREEN);
        let (first, written, bytes) = frame(&gallery, &empty, place);
        assert_eq!((written, bytes.as_str()), (32, ""), "{graphics:?}");
        waker.woken().await;
        let (second, written, bytes) = frame(&gallery, &first, place);
        assert_eq!(written, 0);
        assert!(bytes.contains("\x1b[2;3H"), "{graphics:?}: {bytes:?}");
        let (third, written, bytes) = frame(&gallery, &second, place);
        assert_eq!((written, bytes.as_str()), (0, ""), "a picture that stays costs nothing");
        // Gone: every cell below it is written, and kitty is told.
        let (_, written, bytes) = frame(&gallery, &third, |_| ());
        assert_eq!(written, 32);
        assert_eq!(bytes.contains("a=d,d=I"), graphics == Graphics::Kitty);
    }
}

#[tokio::test]
async fn a_popup_over_a_picture_leaves_no_hole_and_no_residue() {
    let (gallery, waker) = gallery(Graphics::Sixel);
    let red = picture(200);
    let place = |b: &mut Buffer| {
        gallery.place(b, AREA, 0, &red);
    };
    let (first, ..) = frame(&gallery, &Buffer::empty(SCREEN), place);
    waker.woken().await;
    let (shown, _, bytes) = frame(&gallery, &first, place);
    assert!(!bytes.is_empty());
    let popup = Rect::new(4, 2, 3, 2);
    let (covered, written, bytes) = frame(&gallery, &shown, |b| {
        place(b);
        Clear.render(popup, b);
    });
    assert_eq!((written, bytes.as_str()), (32, ""), "half-blocks around the popup");
    assert_eq!(covered[(2, 1)].bg, Color::Rgb(200, 0, 0));
    assert_eq!(covered[(4, 2)].bg, Color::Reset);
    let (_, written, bytes) = frame(&gallery, &covered, place);
    assert_eq!(written, 0);
    assert!(bytes.contains("\x1b[2;3H"), "shown again from the cache");
}

#[tokio::test]
async fn another_picture_replaces_the_first() {
    let (gallery, waker) = gallery(Graphics::Kitty);
    let (a, b) = (picture(200), picture(100));
    let (one, ..) = frame(&gallery, &Buffer::empty(SCREEN), |f| show(&gallery, f, &a));
    waker.woken().await;
    let (two, ..) = frame(&gallery, &one, |f| show(&gallery, f, &a));
    let (three, written, bytes) = frame(&gallery, &two, |f| show(&gallery, f, &b));
    assert_eq!(written, 32, "half-blocks of the new one");
    assert!(bytes.contains("a=d"));
    waker.woken().await;
    let (_, _, bytes) = frame(&gallery, &three, |f| show(&gallery, f, &b));
    assert!(bytes.contains("a=T"));
}

#[test]
fn without_graphics_nothing_is_drawn_and_half_blocks_need_no_runtime() {
    let (off, _) = gallery(Graphics::None);
    let (buffer, ..) = frame(&off, &Buffer::empty(SCREEN), |b| {
        assert!(off.place(b, AREA, 0, &picture(9)).is_empty());
    });
    assert_eq!(buffer, Buffer::empty(SCREEN));
    let (blocks, _) = gallery(Graphics::HalfBlocks);
    let mut buffer = Buffer::empty(SCREEN);
    assert_eq!(blocks.place(&mut buffer, AREA, 0, &picture(9)), AREA);
    assert_eq!(buffer[(2, 1)].bg, Color::Rgb(9, 0, 0));
}

#[tokio::test]
async fn a_picture_that_follows_another_leaves_it_until_it_is_there_itself() {
    let (gallery, waker) = gallery(Graphics::Kitty);
    let (a, b) = (picture(200), picture(100));
    let follow = |buffer: &mut Buffer, picture: &Picture| {
        gallery.follow(buffer, AREA, 0, picture);
    };
    let (one, written, _) = frame(&gallery, &Buffer::empty(SCREEN), |f| follow(f, &a));
    assert_eq!(written, 32, "there is none before: half-blocks");
    waker.woken().await;
    let (two, ..) = frame(&gallery, &one, |f| follow(f, &a));
    let (three, written, bytes) = frame(&gallery, &two, |f| follow(f, &b));
    assert_eq!((written, bytes.as_str()), (0, ""), "the first stays");
    waker.woken().await;
    let (_, written, bytes) = frame(&gallery, &three, |f| follow(f, &b));
    assert_eq!(written, 0);
    assert!(bytes.contains("a=T") && bytes.contains("a=d"), "{bytes:?}");
}
