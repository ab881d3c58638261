-- A key is the system's code and the id as the source has it: letters, case, blanks within it and
-- zeros in front stay, and of several columns two combinations never have one key. A row here is an
-- id whose key is not that, or one that is no id and has a key. Correct macros/keys.sql.
{% set system = built_systems()[0] %}
{% set no_key = 'cast(null as ' ~ dbt.type_string() ~ ')' %}
-- An id, or its two parts, and what is expected behind the code; nothing where it is no id.
{% set singles = {
    "'007'": '007', "'7'": '7', '7': '7', "'Ab'": 'Ab', "'aB'": 'aB', "' a b '": ' a b ', "'a/b'": 'a/b',
    "'100%'": '100%', "'한글'": '한글', "''": none, "' '": none, "'\t\n'": none,
    no_key: none,
} %}
{% set pairs = [
    ("'a'", "'b'", 'a/b'), ("'a/b'", "'c'", 'a%2Fb/c'), ("'a'", "'b/c'", 'a/b%2Fc'),
    ("'a%2Fb'", "'c'", 'a%252Fb/c'), ("'a%'", "'2Fb/c'", 'a%25/2Fb%2Fc'), ('1', '23', '1/23'),
    ('12', '3', '12/3'), ("'a'", "' '", none), ("''", "'b'", none),
    ('cast(null as integer)', '1', none),
] %}

with keys as (

    {% for id, behind in singles.items() %}
        select
            {{ source_key(system, id) }} as source_key,
            {{ "'" ~ key_prefix(system) ~ behind ~ "'" if behind is not none else no_key }} as expected_key
        union all
    {% endfor %}
    {% for first, second, behind in pairs %}
        select
            {{ source_key(system, [first, second]) }} as source_key,
            {{ "'" ~ key_prefix(system) ~ behind ~ "'" if behind is not none else no_key }} as expected_key
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    source_key,
    expected_key
from keys
where source_key is distinct from expected_key
union all
select
    source_key,
    'different from the key of every unknown member' as expected_key
from keys
where source_key = {{ unknown_key() }}
