-- Staging gives required columns without nulls, and ids that begin with the system's code (macro
-- source_key), some of which are found where they should be; a promotion is at some place; a system's
-- dated_tables are tables that its source counted. A row here is a column or a table that does not do
-- so, and says what to do; a column's type and that it is there at all are checked before anything is
-- built on it (macro union_of_systems).
{% set columns = [] %}
{% for entity, contract in entities().items() %}
    {% for kind in ['required', 'optional'] %}
        {% for column, type in contract[kind].items() %}
            {% if kind == 'required' or type == 'id' %}
                {% do columns.append((entity, column, kind == 'required', type == 'id')) %}
            {% endif %}
        {% endfor %}
    {% endfor %}
{% endfor %}
{% set selects = [] %}
{% for entity, column, is_required, is_id in columns %}
    {% for system in built_systems() if source_systems()[system].entities.get(entity) %}
        {% set model = source_systems()[system].entities[entity] %}
        {% set unioned = ref('int_shared__' ~ entity ~ '_unioned') %}
        {% if is_required %}
            {% do selects.append((
                model, column, unioned, system, column ~ ' is null',
                'expected a value, found null; leave the row out there or give it a value'
            )) %}
        {% endif %}
        {% if is_id %}
            {% do selects.append((
                model, column, unioned, system,
                'not (' ~ column ~ " like '" ~ key_prefix(system) ~ "_%')",
                'expected ids that begin with ' ~ key_prefix(system)
                    ~ ', found others; wrap the column in source_key there'
            )) %}
        {% endif %}
    {% endfor %}
{% endfor %}

{% for system in built_systems() if source_systems()[system].entities.get('promotions') %}
    {% do selects.append((
        source_systems()[system].entities.promotions, 'display_location',
        ref('int_shared__promotions_unioned'), system,
        "display_location = '0' and mailer_location = '0'",
        'expected a place on display or in the mailer, found 0, no place, for both;'
            ~ ' leave the row out there'
    )) %}
{% endfor %}

{% for model, column, unioned, system, condition, finding in selects %}
    select
        'staging model {{ model }}: column {{ column }}: {{ finding }}' as finding,
        count(*) as row_count
    from {{ unioned }}
    where
        source_system = '{{ system }}'
        and {{ condition }}
    having count(*) > 0
    union all
{% endfor %}
-- Ids that are told in two ways, 101 and 101.000000000, never meet, and every line would be of something
-- that no catalog has.
{% set parents = [
    ('sales_lines', 'product_id', 'products'),
    ('sales_lines', 'household_id', 'households'),
    ('coupon_products', 'product_id', 'products'),
    ('coupon_redemptions', 'coupon_upc', 'coupon_products'),
    ('campaign_households', 'campaign_id', 'campaigns'),
] %}
{% for system in built_systems() %}
    {% set given = source_systems()[system].entities %}
    {% for child, column, parent in parents if child in given and parent in given %}
        select
            'staging model {{ given[child] }}: column {{ column }}: expected ids of {{ parent }}, found none'
            || ' of its ids there; load both in one type, or cast them to one there' as finding,
            count(*) as row_count
        from {{ ref('int_shared__' ~ child ~ '_unioned') }} as child
        left join {{ ref('int_shared__' ~ parent ~ '_unioned') }} as parent
            on child.{{ column }} = parent.{{ column }}
        where
            child.source_system = '{{ system }}'
            and child.{{ column }} is not null
        having
            count(*) > 0
            and count(parent.{{ column }}) = 0
            and (
                select count(*)
                from {{ ref('int_shared__' ~ parent ~ '_unioned') }} as parents
                where parents.source_system = '{{ system }}'
            ) > 0
        union all
    {% endfor %}
{% endfor %}
-- Else how far the days are whole would be told by other tables, or by none.
{% set dated = [] %}
{% for system in built_systems() %}
    {% for table in source_systems()[system].dated_tables %}
        {% do dated.append((system, table)) %}
    {% endfor %}
{% endfor %}
{% for system, table in dated %}
    select
        'macros/source_systems.sql: dated_tables of {{ system }}: expected tables that its source'
        || ' counted, found {{ table }}; name it as ingestion/tables.py does' as finding,
        1 as row_count
    from {{ ref('int_shared__load_control_totals_unioned') }}
    where
        source_system = '{{ system }}'
        and table_name = '{{ table }}'
    having
        count(*) = 0
        and {{ rows_are_read() }}
    {{ 'union all' if not loop.last }}
{% endfor %}
