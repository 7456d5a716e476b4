//! What the table of types is tested with: one function for each way to pass something.
#![no_std]
#![no_main]
#![allow(missing_docs)]

use core::hint::black_box;

pub struct Inner {
    pub low: u16,
    pub high: i16,
}

pub struct Node {
    pub inner: Inner,
    pub next: Option<&'static Node>,
    pub name: &'static str,
    pub words: [u32; 4],
    pub shade: Shade,
    pub kind: Kind,
    pub done: bool,
}

#[derive(Clone, Copy)]
pub enum Shade {
    Light = 3,
    Dark = 7,
}

pub enum Kind {
    Number(u64),
    Nothing,
}

pub struct Id(u32);

pub struct Large([u64; 5]);

#[unsafe(no_mangle)]
#[inline(never)]
pub fn scalars(byte: u8, signed: i32, wide: u64, flag: bool, letter: char) -> i16 {
    black_box((byte, signed, wide, flag, letter));
    black_box(-1)
}

#[unsafe(no_mangle)]
#[inline(never)]
pub fn slices(text: &str, bytes: &[u8]) {
    black_box((text, bytes));
}

#[unsafe(no_mangle)]
#[inline(never)]
pub fn node(node: &Node, shade: Shade, id: Id) -> bool {
    black_box((node as *const Node, shade, id.0));
    black_box(node.done)
}

#[unsafe(no_mangle)]
#[inline(never)]
pub fn large(before: u64, large: Large) -> Large {
    black_box((before, &large));
    large
}

#[unsafe(no_mangle)]
#[inline(never)]
pub fn dropped(unused: u64, used: u64) -> u64 {
    let _ = unused;
    black_box(used)
}

#[unsafe(no_mangle)]
#[inline(never)]
pub fn twin_of_node(node: &Node) -> u64 {
    black_box(core::ptr::from_ref(node).addr() as u64)
}

#[unsafe(no_mangle)]
#[inline(never)]
pub fn twin_of_large(large: &Large) -> u64 {
    black_box(core::ptr::from_ref(large).addr() as u64)
}

#[unsafe(no_mangle)]
pub fn start(seed: &'static Node) {
    scalars(1, -2, 3, true, 'x');
    slices(black_box("text"), black_box(b"bytes"));
    node(black_box(seed), black_box(Shade::Dark), black_box(Id(4)));
    large(5, black_box(Large([6; 5])));
    dropped(7, black_box(8));
    twin_of_node(black_box(seed));
    twin_of_large(&black_box(Large([9; 5])));
}

#[unsafe(no_mangle)]
pub fn keep() -> [Shade; 2] {
    black_box(Kind::Number(1));
    black_box(Kind::Nothing);
    [Shade::Light, Shade::Dark]
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
