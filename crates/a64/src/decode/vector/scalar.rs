//! Vector operations on one element: a scalar of the vector file.

use super::super::op::Op::{
    F, FloatZero, Fshift, FshiftWide, Fsize, FsizeWide, Fsz, LaneM, LaneMhalf, ShiftLeft, ShiftRight, Vec,
    VpairSz, Zero,
};
use super::super::op::field::{D, M, N};
use super::super::operand::FpSize::{D as Double, H as Half, S as Single};
use super::super::operand::{Arrangement, FpSize};
use super::super::rules::{lane_double_scalar, shift_narrow, shift_scalar, shift_scalar_floats};
use super::super::{Row, Section, row, section};

/// b, h, s, d
const ANY: u8 = 0b1111;
/// h, s
const HS: u8 = 0b0110;
/// b, h, s
const BHS: u8 = 0b0111;
/// d
const ONLY_D: u8 = 0b1000;

const TWO_H: Arrangement = Arrangement { lanes: 2, size: FpSize::H };
const TWO_D: Arrangement = Arrangement { lanes: 2, size: FpSize::D };

/// Three of the same size.
const fn same(picture: &str, name: &'static str, sizes: u8) -> Row {
    row(picture, name, &[Fsize(D), Fsize(N), Fsize(M)]).size(sizes)
}

/// Three floats.
const fn float(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fsz(D), Fsz(N), Fsz(M)])
}

/// Three halves.
const fn half(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[F(Half, D), F(Half, N), F(Half, M)])
}

/// Two of the same size.
const fn two(picture: &str, name: &'static str, sizes: u8) -> Row {
    row(picture, name, &[Fsize(D), Fsize(N)]).size(sizes)
}

/// A comparison with zero.
const fn zero(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fsize(D), Fsize(N), Zero]).size(ONLY_D)
}

/// Wide gives narrow.
const fn narrow(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fsize(D), FsizeWide(N)]).size(BHS)
}

/// Two floats.
const fn float_two(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fsz(D), Fsz(N)])
}

/// A comparison with zero.
const fn float_zero(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fsz(D), Fsz(N), FloatZero])
}

/// Two halves.
const fn half_two(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[F(Half, D), F(Half, N)])
}

/// A comparison with zero.
const fn half_zero(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[F(Half, D), F(Half, N), FloatZero])
}

/// A reduction of two floats.
const fn pair(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fsz(D), VpairSz(N)])
}

/// A reduction of two halves.
const fn pair_half(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[F(Half, D), Vec(TWO_H, N)])
}

/// Shifts of 64 bits.
const fn right(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fshift(D), Fshift(N), ShiftRight])
}

/// A shift to the left of 64 bits.
const fn left(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fshift(D), Fshift(N), ShiftLeft])
}

/// A saturating shift to the left of any size.
const fn left_any(picture: &str, name: &'static str) -> Row {
    left(picture, name).when(shift_scalar)
}

/// A saturating shift to the right that narrows.
const fn right_narrow(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fshift(D), FshiftWide(N), ShiftRight]).when(shift_narrow)
}

/// A conversion with fraction bits.
const fn fixed(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fshift(D), Fshift(N), ShiftRight]).when(shift_scalar_floats)
}

/// With an element.
const fn lane(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fsize(D), Fsize(N), LaneM]).size(HS)
}

/// With an element, widening.
const fn lane_long(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[FsizeWide(D), Fsize(N), LaneM]).size(HS)
}

/// A float with an element.
const fn lane_float(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Fsz(D), Fsz(N), LaneM]).when(lane_double_scalar)
}

/// A half with an element.
const fn lane_half(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[F(Half, D), F(Half, N), LaneMhalf])
}

pub(in crate::decode) const SECTIONS: &[Section] = &[
    section(
        "Advanced SIMD scalar three same",
        "01 x 11110 xx 1 xxxxx xxxxx 1 xxxxx xxxxx",
        &[
            same("01 0 11110 ss 1 mmmmm 00001 1 nnnnn ddddd", "sqadd", ANY),
            same("01 0 11110 ss 1 mmmmm 00101 1 nnnnn ddddd", "sqsub", ANY),
            same("01 0 11110 ss 1 mmmmm 00110 1 nnnnn ddddd", "cmgt", ONLY_D),
            same("01 0 11110 ss 1 mmmmm 00111 1 nnnnn ddddd", "cmge", ONLY_D),
            same("01 0 11110 ss 1 mmmmm 01000 1 nnnnn ddddd", "sshl", ONLY_D),
            same("01 0 11110 ss 1 mmmmm 01001 1 nnnnn ddddd", "sqshl", ANY),
            same("01 0 11110 ss 1 mmmmm 01010 1 nnnnn ddddd", "srshl", ONLY_D),
            same("01 0 11110 ss 1 mmmmm 01011 1 nnnnn ddddd", "sqrshl", ANY),
            same("01 0 11110 ss 1 mmmmm 10000 1 nnnnn ddddd", "add", ONLY_D),
            same("01 0 11110 ss 1 mmmmm 10001 1 nnnnn ddddd", "cmtst", ONLY_D),
            same("01 0 11110 ss 1 mmmmm 10110 1 nnnnn ddddd", "sqdmulh", HS),
            float("01 0 11110 0z 1 mmmmm 11011 1 nnnnn ddddd", "fmulx"),
            float("01 0 11110 0z 1 mmmmm 11100 1 nnnnn ddddd", "fcmeq"),
            float("01 0 11110 0z 1 mmmmm 11111 1 nnnnn ddddd", "frecps"),
            float("01 0 11110 1z 1 mmmmm 11111 1 nnnnn ddddd", "frsqrts"),
            same("01 1 11110 ss 1 mmmmm 00001 1 nnnnn ddddd", "uqadd", ANY),
            same("01 1 11110 ss 1 mmmmm 00101 1 nnnnn ddddd", "uqsub", ANY),
            same("01 1 11110 ss 1 mmmmm 00110 1 nnnnn ddddd", "cmhi", ONLY_D),
            same("01 1 11110 ss 1 mmmmm 00111 1 nnnnn ddddd", "cmhs", ONLY_D),
            same("01 1 11110 ss 1 mmmmm 01000 1 nnnnn ddddd", "ushl", ONLY_D),
            same("01 1 11110 ss 1 mmmmm 01001 1 nnnnn ddddd", "uqshl", ANY),
            same("01 1 11110 ss 1 mmmmm 01010 1 nnnnn ddddd", "urshl", ONLY_D),
            same("01 1 11110 ss 1 mmmmm 01011 1 nnnnn ddddd", "uqrshl", ANY),
            same("01 1 11110 ss 1 mmmmm 10000 1 nnnnn ddddd", "sub", ONLY_D),
            same("01 1 11110 ss 1 mmmmm 10001 1 nnnnn ddddd", "cmeq", ONLY_D),
            same("01 1 11110 ss 1 mmmmm 10110 1 nnnnn ddddd", "sqrdmulh", HS),
            float("01 1 11110 0z 1 mmmmm 11100 1 nnnnn ddddd", "fcmge"),
            float("01 1 11110 0z 1 mmmmm 11101 1 nnnnn ddddd", "facge"),
            float("01 1 11110 1z 1 mmmmm 11010 1 nnnnn ddddd", "fabd"),
            float("01 1 11110 1z 1 mmmmm 11100 1 nnnnn ddddd", "fcmgt"),
            float("01 1 11110 1z 1 mmmmm 11101 1 nnnnn ddddd", "facgt"),
        ],
    ),
    section(
        "Advanced SIMD scalar three same (FP16)",
        "01 x 11110 x10 xxxxx 00 xxx 1 xxxxx xxxxx",
        &[
            half("01 0 11110 010 mmmmm 00 011 1 nnnnn ddddd", "fmulx"),
            half("01 0 11110 010 mmmmm 00 100 1 nnnnn ddddd", "fcmeq"),
            half("01 0 11110 010 mmmmm 00 111 1 nnnnn ddddd", "frecps"),
            half("01 0 11110 110 mmmmm 00 111 1 nnnnn ddddd", "frsqrts"),
            half("01 1 11110 010 mmmmm 00 100 1 nnnnn ddddd", "fcmge"),
            half("01 1 11110 010 mmmmm 00 101 1 nnnnn ddddd", "facge"),
            half("01 1 11110 110 mmmmm 00 010 1 nnnnn ddddd", "fabd"),
            half("01 1 11110 110 mmmmm 00 100 1 nnnnn ddddd", "fcmgt"),
            half("01 1 11110 110 mmmmm 00 101 1 nnnnn ddddd", "facgt"),
        ],
    ),
    section(
        "Advanced SIMD scalar three same extra",
        "01 x 11110 xx 0 xxxxx 1 xxxx 1 xxxxx xxxxx",
        &[
            same("01 1 11110 ss 0 mmmmm 1 0000 1 nnnnn ddddd", "sqrdmlah", HS),
            same("01 1 11110 ss 0 mmmmm 1 0001 1 nnnnn ddddd", "sqrdmlsh", HS),
        ],
    ),
    section(
        "Advanced SIMD scalar three different",
        "01 x 11110 xx 1 xxxxx xxxx 00 xxxxx xxxxx",
        &[
            row("01 0 11110 ss 1 mmmmm 1001 00 nnnnn ddddd", "sqdmlal", &[FsizeWide(D), Fsize(N), Fsize(M)])
                .size(HS),
            row("01 0 11110 ss 1 mmmmm 1011 00 nnnnn ddddd", "sqdmlsl", &[FsizeWide(D), Fsize(N), Fsize(M)])
                .size(HS),
            row("01 0 11110 ss 1 mmmmm 1101 00 nnnnn ddddd", "sqdmull", &[FsizeWide(D), Fsize(N), Fsize(M)])
                .size(HS),
        ],
    ),
    section(
        "Advanced SIMD scalar two-register miscellaneous",
        "01 x 11110 xx 10000 xxxxx 10 xxxxx xxxxx",
        &[
            two("01 0 11110 ss 10000 00011 10 nnnnn ddddd", "suqadd", ANY),
            two("01 0 11110 ss 10000 00111 10 nnnnn ddddd", "sqabs", ANY),
            zero("01 0 11110 ss 10000 01000 10 nnnnn ddddd", "cmgt"),
            zero("01 0 11110 ss 10000 01001 10 nnnnn ddddd", "cmeq"),
            zero("01 0 11110 ss 10000 01010 10 nnnnn ddddd", "cmlt"),
            two("01 0 11110 ss 10000 01011 10 nnnnn ddddd", "abs", ONLY_D),
            narrow("01 0 11110 ss 10000 10100 10 nnnnn ddddd", "sqxtn"),
            float_two("01 0 11110 0z 10000 11010 10 nnnnn ddddd", "fcvtns"),
            float_two("01 0 11110 0z 10000 11011 10 nnnnn ddddd", "fcvtms"),
            float_two("01 0 11110 0z 10000 11100 10 nnnnn ddddd", "fcvtas"),
            float_two("01 0 11110 0z 10000 11101 10 nnnnn ddddd", "scvtf"),
            float_zero("01 0 11110 1z 10000 01100 10 nnnnn ddddd", "fcmgt"),
            float_zero("01 0 11110 1z 10000 01101 10 nnnnn ddddd", "fcmeq"),
            float_zero("01 0 11110 1z 10000 01110 10 nnnnn ddddd", "fcmlt"),
            float_two("01 0 11110 1z 10000 11010 10 nnnnn ddddd", "fcvtps"),
            float_two("01 0 11110 1z 10000 11011 10 nnnnn ddddd", "fcvtzs"),
            float_two("01 0 11110 1z 10000 11101 10 nnnnn ddddd", "frecpe"),
            float_two("01 0 11110 1z 10000 11111 10 nnnnn ddddd", "frecpx"),
            two("01 1 11110 ss 10000 00011 10 nnnnn ddddd", "usqadd", ANY),
            two("01 1 11110 ss 10000 00111 10 nnnnn ddddd", "sqneg", ANY),
            zero("01 1 11110 ss 10000 01000 10 nnnnn ddddd", "cmge"),
            zero("01 1 11110 ss 10000 01001 10 nnnnn ddddd", "cmle"),
            two("01 1 11110 ss 10000 01011 10 nnnnn ddddd", "neg", ONLY_D),
            narrow("01 1 11110 ss 10000 10010 10 nnnnn ddddd", "sqxtun"),
            narrow("01 1 11110 ss 10000 10100 10 nnnnn ddddd", "uqxtn"),
            row("01 1 11110 01 10000 10110 10 nnnnn ddddd", "fcvtxn", &[F(Single, D), F(Double, N)]),
            float_two("01 1 11110 0z 10000 11010 10 nnnnn ddddd", "fcvtnu"),
            float_two("01 1 11110 0z 10000 11011 10 nnnnn ddddd", "fcvtmu"),
            float_two("01 1 11110 0z 10000 11100 10 nnnnn ddddd", "fcvtau"),
            float_two("01 1 11110 0z 10000 11101 10 nnnnn ddddd", "ucvtf"),
            float_zero("01 1 11110 1z 10000 01100 10 nnnnn ddddd", "fcmge"),
            float_zero("01 1 11110 1z 10000 01101 10 nnnnn ddddd", "fcmle"),
            float_two("01 1 11110 1z 10000 11010 10 nnnnn ddddd", "fcvtpu"),
            float_two("01 1 11110 1z 10000 11011 10 nnnnn ddddd", "fcvtzu"),
            float_two("01 1 11110 1z 10000 11101 10 nnnnn ddddd", "frsqrte"),
        ],
    ),
    section(
        "Advanced SIMD scalar two-register miscellaneous (FP16)",
        "01 x 11110 x 111100 xxxxx 10 xxxxx xxxxx",
        &[
            half_two("01 0 11110 0 111100 11010 10 nnnnn ddddd", "fcvtns"),
            half_two("01 0 11110 0 111100 11011 10 nnnnn ddddd", "fcvtms"),
            half_two("01 0 11110 0 111100 11100 10 nnnnn ddddd", "fcvtas"),
            half_two("01 0 11110 0 111100 11101 10 nnnnn ddddd", "scvtf"),
            half_zero("01 0 11110 1 111100 01100 10 nnnnn ddddd", "fcmgt"),
            half_zero("01 0 11110 1 111100 01101 10 nnnnn ddddd", "fcmeq"),
            half_zero("01 0 11110 1 111100 01110 10 nnnnn ddddd", "fcmlt"),
            half_two("01 0 11110 1 111100 11010 10 nnnnn ddddd", "fcvtps"),
            half_two("01 0 11110 1 111100 11011 10 nnnnn ddddd", "fcvtzs"),
            half_two("01 0 11110 1 111100 11101 10 nnnnn ddddd", "frecpe"),
            half_two("01 0 11110 1 111100 11111 10 nnnnn ddddd", "frecpx"),
            half_two("01 1 11110 0 111100 11010 10 nnnnn ddddd", "fcvtnu"),
            half_two("01 1 11110 0 111100 11011 10 nnnnn ddddd", "fcvtmu"),
            half_two("01 1 11110 0 111100 11100 10 nnnnn ddddd", "fcvtau"),
            half_two("01 1 11110 0 111100 11101 10 nnnnn ddddd", "ucvtf"),
            half_zero("01 1 11110 1 111100 01100 10 nnnnn ddddd", "fcmge"),
            half_zero("01 1 11110 1 111100 01101 10 nnnnn ddddd", "fcmle"),
            half_two("01 1 11110 1 111100 11010 10 nnnnn ddddd", "fcvtpu"),
            half_two("01 1 11110 1 111100 11011 10 nnnnn ddddd", "fcvtzu"),
            half_two("01 1 11110 1 111100 11101 10 nnnnn ddddd", "frsqrte"),
        ],
    ),
    section(
        "Advanced SIMD scalar pairwise",
        "01 x 11110 xx 11000 xxxxx 10 xxxxx xxxxx",
        &[
            row("01 0 11110 11 11000 11011 10 nnnnn ddddd", "addp", &[F(Double, D), Vec(TWO_D, N)]),
            pair_half("01 0 11110 00 11000 01100 10 nnnnn ddddd", "fmaxnmp"),
            pair_half("01 0 11110 00 11000 01101 10 nnnnn ddddd", "faddp"),
            pair_half("01 0 11110 00 11000 01111 10 nnnnn ddddd", "fmaxp"),
            pair_half("01 0 11110 10 11000 01100 10 nnnnn ddddd", "fminnmp"),
            pair_half("01 0 11110 10 11000 01111 10 nnnnn ddddd", "fminp"),
            pair("01 1 11110 0z 11000 01100 10 nnnnn ddddd", "fmaxnmp"),
            pair("01 1 11110 0z 11000 01101 10 nnnnn ddddd", "faddp"),
            pair("01 1 11110 0z 11000 01111 10 nnnnn ddddd", "fmaxp"),
            pair("01 1 11110 1z 11000 01100 10 nnnnn ddddd", "fminnmp"),
            pair("01 1 11110 1z 11000 01111 10 nnnnn ddddd", "fminp"),
        ],
    ),
    section(
        "Advanced SIMD scalar shift by immediate",
        "01 x 111110 xxxx xxx xxxxx 1 xxxxx xxxxx",
        &[
            right("01 0 111110 1hhh bbb 00000 1 nnnnn ddddd", "sshr"),
            right("01 0 111110 1hhh bbb 00010 1 nnnnn ddddd", "ssra"),
            right("01 0 111110 1hhh bbb 00100 1 nnnnn ddddd", "srshr"),
            right("01 0 111110 1hhh bbb 00110 1 nnnnn ddddd", "srsra"),
            left("01 0 111110 1hhh bbb 01010 1 nnnnn ddddd", "shl"),
            left_any("01 0 111110 hhhh bbb 01110 1 nnnnn ddddd", "sqshl"),
            right_narrow("01 0 111110 hhhh bbb 10010 1 nnnnn ddddd", "sqshrn"),
            right_narrow("01 0 111110 hhhh bbb 10011 1 nnnnn ddddd", "sqrshrn"),
            fixed("01 0 111110 hhhh bbb 11100 1 nnnnn ddddd", "scvtf"),
            fixed("01 0 111110 hhhh bbb 11111 1 nnnnn ddddd", "fcvtzs"),
            right("01 1 111110 1hhh bbb 00000 1 nnnnn ddddd", "ushr"),
            right("01 1 111110 1hhh bbb 00010 1 nnnnn ddddd", "usra"),
            right("01 1 111110 1hhh bbb 00100 1 nnnnn ddddd", "urshr"),
            right("01 1 111110 1hhh bbb 00110 1 nnnnn ddddd", "ursra"),
            right("01 1 111110 1hhh bbb 01000 1 nnnnn ddddd", "sri"),
            left("01 1 111110 1hhh bbb 01010 1 nnnnn ddddd", "sli"),
            left_any("01 1 111110 hhhh bbb 01100 1 nnnnn ddddd", "sqshlu"),
            left_any("01 1 111110 hhhh bbb 01110 1 nnnnn ddddd", "uqshl"),
            right_narrow("01 1 111110 hhhh bbb 10000 1 nnnnn ddddd", "sqshrun"),
            right_narrow("01 1 111110 hhhh bbb 10001 1 nnnnn ddddd", "sqrshrun"),
            right_narrow("01 1 111110 hhhh bbb 10010 1 nnnnn ddddd", "uqshrn"),
            right_narrow("01 1 111110 hhhh bbb 10011 1 nnnnn ddddd", "uqrshrn"),
            fixed("01 1 111110 hhhh bbb 11100 1 nnnnn ddddd", "ucvtf"),
            fixed("01 1 111110 hhhh bbb 11111 1 nnnnn ddddd", "fcvtzu"),
        ],
    ),
    section(
        "Advanced SIMD scalar x indexed element",
        "01 x 11111 xx xx xxxx xxxx x 0 xxxxx xxxxx",
        &[
            lane_half("01 0 11111 00 LM mmmm 0001 H 0 nnnnn ddddd", "fmla"),
            lane_long("01 0 11111 ss LM mmmm 0011 H 0 nnnnn ddddd", "sqdmlal"),
            lane_half("01 0 11111 00 LM mmmm 0101 H 0 nnnnn ddddd", "fmls"),
            lane_long("01 0 11111 ss LM mmmm 0111 H 0 nnnnn ddddd", "sqdmlsl"),
            lane_half("01 0 11111 00 LM mmmm 1001 H 0 nnnnn ddddd", "fmul"),
            lane_long("01 0 11111 ss LM mmmm 1011 H 0 nnnnn ddddd", "sqdmull"),
            lane("01 0 11111 ss LM mmmm 1100 H 0 nnnnn ddddd", "sqdmulh"),
            lane("01 0 11111 ss LM mmmm 1101 H 0 nnnnn ddddd", "sqrdmulh"),
            lane_float("01 0 11111 1z LM mmmm 0001 H 0 nnnnn ddddd", "fmla"),
            lane_float("01 0 11111 1z LM mmmm 0101 H 0 nnnnn ddddd", "fmls"),
            lane_float("01 0 11111 1z LM mmmm 1001 H 0 nnnnn ddddd", "fmul"),
            lane_half("01 1 11111 00 LM mmmm 1001 H 0 nnnnn ddddd", "fmulx"),
            lane("01 1 11111 ss LM mmmm 1101 H 0 nnnnn ddddd", "sqrdmlah"),
            lane("01 1 11111 ss LM mmmm 1111 H 0 nnnnn ddddd", "sqrdmlsh"),
            lane_float("01 1 11111 1z LM mmmm 1001 H 0 nnnnn ddddd", "fmulx"),
        ],
    ),
];
