use std::ffi::c_char;

use virt::sys::{self, virTypedParameter};

use super::{super::super::decode::Param, name_of, value_of};

fn param(type_: u32, fill: impl FnOnce(&mut virTypedParameter)) -> virTypedParameter {
    // SAFETY: all zeroes is a valid parameter: an empty name and a null union.
    let mut param: virTypedParameter = unsafe { std::mem::zeroed() };
    param.type_ = i32::try_from(type_).unwrap();
    fill(&mut param);
    param
}

#[test]
fn a_name_without_an_end_is_not_read_beyond_its_field() {
    let full = [c_char::try_from(b'x').unwrap(); 80];
    assert_eq!(name_of(&full), [b'x'; 80]);
    let mut short = full;
    short[3] = 0;
    assert_eq!(name_of(&short), b"xxx");
    short[0] = 0;
    assert_eq!(name_of(&short), b"");
}

#[test]
fn every_type_is_read_as_what_it_says() {
    let of = |p: &virTypedParameter| format!("{:?}", value_of(p));
    assert_eq!(of(&param(sys::VIR_TYPED_PARAM_INT, |p| p.value.i = -5)), "Signed(-5)");
    assert_eq!(of(&param(sys::VIR_TYPED_PARAM_UINT, |p| p.value.ui = u32::MAX)), "Unsigned(4294967295)");
    assert_eq!(
        of(&param(sys::VIR_TYPED_PARAM_LLONG, |p| p.value.l = i64::MIN)),
        format!("Signed({})", i64::MIN)
    );
    assert_eq!(
        of(&param(sys::VIR_TYPED_PARAM_ULLONG, |p| p.value.ul = u64::MAX)),
        format!("Unsigned({})", u64::MAX)
    );
    assert_eq!(of(&param(sys::VIR_TYPED_PARAM_BOOLEAN, |p| p.value.b = 1)), "Flag(true)");
    let text = c"vda".to_owned();
    let p = param(sys::VIR_TYPED_PARAM_STRING, |p| p.value.s = text.as_ptr().cast_mut());
    assert_eq!(value_of(&p), Param::Text(b"vda"));
}

#[test]
fn unknown_types_and_missing_strings_are_neither_read_nor_followed() {
    for type_ in [sys::VIR_TYPED_PARAM_STRING, sys::VIR_TYPED_PARAM_DOUBLE, 0, 99] {
        assert_eq!(value_of(&param(type_, |_| ())), Param::Other);
    }
}
