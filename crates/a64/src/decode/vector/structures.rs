//! Loads and stores of structures: one to four registers, whole, by element or replicated (C4.1.94).
//!
//! Bit 23 set moves the base on, by Rm or by what was accessed; without it Rm must be 0.

use super::super::op::Op::{Base, LaneBase, LaneList, LaneListD, List, ListBase, ReplicateBase};
use super::super::rules::{lane_of_half, lane_of_word, structure_shape};
use super::super::{Section, row, section};

/// The two rows, plain and moving on, of whole registers. `L` is bit 22.
macro_rules! whole {
    ($(($load:literal $opcode:literal $name:literal $registers:literal $rule:ident))*) => {
        &[$(
            row(concat!("0 q 0011000 ", $load, " 000000 ", $opcode, " ss nnnnn ttttt"), $name, &[List($registers), ListBase($registers)])
                .when($rule),
            row(concat!("0 q 0011001 ", $load, " 0 mmmmm ", $opcode, " ss nnnnn ttttt"), $name, &[List($registers), ListBase($registers)])
                .when($rule),
        )*]
    };
}

/// Those of one element: bytes, halves, words and doubles. `R` is bit 21.
macro_rules! element {
    ($(($load:literal $r:literal $o:literal $name:literal $registers:literal))*) => {
        &[$(
            row(concat!("0 q 0011010 ", $load, " ", $r, " 00000 00", $o, " S ss nnnnn ttttt"), $name, &[LaneList($registers), LaneBase($registers)]),
            row(concat!("0 q 0011010 ", $load, " ", $r, " 00000 01", $o, " S ss nnnnn ttttt"), $name, &[LaneList($registers), LaneBase($registers)])
                .when(lane_of_half),
            row(concat!("0 q 0011010 ", $load, " ", $r, " 00000 10", $o, " S ss nnnnn ttttt"), $name, &[LaneList($registers), LaneBase($registers)])
                .when(lane_of_word),
            row(concat!("0 q 0011011 ", $load, " ", $r, " mmmmm 00", $o, " S ss nnnnn ttttt"), $name, &[LaneList($registers), LaneBase($registers)]),
            row(concat!("0 q 0011011 ", $load, " ", $r, " mmmmm 01", $o, " S ss nnnnn ttttt"), $name, &[LaneList($registers), LaneBase($registers)])
                .when(lane_of_half),
            row(concat!("0 q 0011011 ", $load, " ", $r, " mmmmm 10", $o, " S ss nnnnn ttttt"), $name, &[LaneList($registers), LaneBase($registers)])
                .when(lane_of_word),
        )*]
    };
}

/// Those that load one element into all.
macro_rules! replicate {
    ($(($r:literal $o:literal $name:literal $registers:literal))*) => {
        &[$(
            row(concat!("0 q 0011010 1 ", $r, " 00000 11", $o, " 0 ss nnnnn ttttt"), $name, &[List($registers), ReplicateBase($registers)]),
            row(concat!("0 q 0011011 1 ", $r, " mmmmm 11", $o, " 0 ss nnnnn ttttt"), $name, &[List($registers), ReplicateBase($registers)]),
        )*]
    };
}

fn any(_: crate::insn::Insn) -> bool {
    true
}

pub(in crate::decode) const SECTIONS: &[Section] = &[
    section(
        "Advanced SIMD load/store multiple structures",
        "0 x 001100 x x x xxxxx xxxx xx xxxxx xxxxx",
        whole! {
            ("0" "0000" "st4" 4 structure_shape) ("0" "0010" "st1" 4 any) ("0" "0100" "st3" 3 structure_shape) ("0" "0110" "st1" 3 any)
            ("0" "0111" "st1" 1 any) ("0" "1000" "st2" 2 structure_shape) ("0" "1010" "st1" 2 any)
            ("1" "0000" "ld4" 4 structure_shape) ("1" "0010" "ld1" 4 any) ("1" "0100" "ld3" 3 structure_shape) ("1" "0110" "ld1" 3 any)
            ("1" "0111" "ld1" 1 any) ("1" "1000" "ld2" 2 structure_shape) ("1" "1010" "ld1" 2 any)
        },
    ),
    section(
        "Advanced SIMD load/store single structure",
        "0 x 001101 x x x xxxxx xxx x xx xxxxx xxxxx",
        element! {
            ("0" "0" "0" "st1" 1) ("0" "1" "0" "st2" 2) ("0" "0" "1" "st3" 3) ("0" "1" "1" "st4" 4)
            ("1" "0" "0" "ld1" 1) ("1" "1" "0" "ld2" 2) ("1" "0" "1" "ld3" 3) ("1" "1" "1" "ld4" 4)
        },
    ),
    section(
        "Advanced SIMD load single structure and replicate",
        "0 x 001101 x 1 x xxxxx 11x 0 xx xxxxx xxxxx",
        replicate! { ("0" "0" "ld1r" 1) ("1" "0" "ld2r" 2) ("0" "1" "ld3r" 3) ("1" "1" "ld4r" 4) },
    ),
    section(
        "Ordered load/store of an element",
        "0 x 001101 0 x 0 00001 100 0 01 xxxxx xxxxx",
        &[
            row("0 q 001101 0 0 0 00001 100 0 01 nnnnn ttttt", "stl1", &[LaneListD, Base]),
            row("0 q 001101 0 1 0 00001 100 0 01 nnnnn ttttt", "ldap1", &[LaneListD, Base]),
        ],
    ),
];
