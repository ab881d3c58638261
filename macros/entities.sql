{# What the business layers need of a source system, entity by entity: the contract of staging. A
   system need not have every entity; of one that it has, its staging model has every column, in the
   type that stands here. Required columns are never null, optional ones may be. An `id` is a text
   that begins with the system's code (macro source_key). #}
{% macro entities() -%}
    {{- return({
        'sales_lines': {
            'required': {
                'basket_id': 'id', 'product_id': 'id', 'sold_at': 'timestamp',
                'quantity': 'bigint', 'net_sales_usd': 'decimal(18,2)',
                'loyalty_discount_usd': 'decimal(18,2)',
                'coupon_match_discount_usd': 'decimal(18,2)',
                'coupon_discount_usd': 'decimal(18,2)', 'load_id': 'string',
            },
            'optional': {'household_id': 'id', 'store_id': 'id', 'source_week': 'integer'},
        },
        'products': {
            'required': {'product_id': 'id', 'load_id': 'string'},
            'optional': {
                'manufacturer_id': 'id', 'department': 'string', 'brand_type': 'string',
                'product_category': 'string', 'product_type': 'string', 'package_size': 'string',
            },
        },
        'households': {
            'required': {'household_id': 'id', 'load_id': 'string'},
            'optional': {},
        },
        'survey_answers': {
            'required': {'household_id': 'id', 'load_id': 'string'},
            'optional': {
                'age_band': 'string', 'income_band': 'string', 'home_ownership': 'string',
                'marital_status': 'string', 'household_size': 'string',
                'household_composition': 'string', 'kids_count': 'string',
            },
        },
        'campaigns': {
            'required': {
                'campaign_id': 'id', 'campaign_type': 'string', 'start_date': 'date',
                'end_date': 'date', 'load_id': 'string',
            },
            'optional': {},
        },
        'campaign_households': {
            'required': {'campaign_id': 'id', 'household_id': 'id', 'load_id': 'string'},
            'optional': {},
        },
        'coupon_products': {
            'required': {'coupon_upc': 'id', 'campaign_id': 'id', 'load_id': 'string'},
            'optional': {'product_id': 'id'},
        },
        'coupon_redemptions': {
            'required': {
                'household_id': 'id', 'coupon_upc': 'id', 'campaign_id': 'id',
                'redemption_date': 'date', 'load_id': 'string',
            },
            'optional': {},
        },
        'promotions': {
            'required': {
                'business_week': 'integer', 'display_location': 'string',
                'mailer_location': 'string', 'load_id': 'string',
            },
            'optional': {'product_id': 'id', 'store_id': 'id'},
        },
        'load_control_totals': {
            'required': {
                'table_name': 'string', 'measure': 'string', 'counted_at': 'timestamp',
                'load_id': 'string',
            },
            'optional': {'column_name': 'string', 'measured_value': 'string'},
        },
    }) -}}
{%- endmacro %}

{# The columns of an entity and their types, as a dictionary. #}
{% macro entity_columns(entity) -%}
    {%- set columns = {} -%}
    {%- for kind in ['required', 'optional'] -%}
        {%- for column, type in entities()[entity][kind].items() -%}
            {%- do columns.update({column: 'string' if type == 'id' else type}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return(columns) -}}
{%- endmacro %}

{# The rows of an entity of all systems that are built and have it; none where no system has it. The
   build stops with one line where a staging model does not keep the contract. #}
{% macro union_of_systems(entity) -%}
    {%- set columns = entity_columns(entity) -%}
    {%- set selects = [] -%}
    {%- for system in built_systems() -%}
        {%- set model = source_systems()[system].entities.get(entity) -%}
        {%- if model -%}
            {%- do check_staged_columns(entity, ref(model)) -%}
            {%- do selects.append(
                'select\n        ' ~ columns | join(',\n        ') ~ ",\n        '" ~ system
                ~ "' as source_system\n    from " ~ ref(model)
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not selects -%}
        {%- set nulls = [] -%}
        {%- for column, type in columns.items() -%}
            {%- do nulls.append('cast(null as ' ~ type ~ ') as ' ~ column) -%}
        {%- endfor -%}
        {%- do selects.append(
            'select\n        ' ~ nulls | join(',\n        ') ~ ',\n        cast(null as '
            ~ dbt.type_string() ~ ') as source_system\n    where 1 = 0'
        ) -%}
    {%- endif -%}
    {{ selects | join('\n    union all\n    ') }}
{%- endmacro %}

{# Stops with one line where a staging model, once it is built, lacks a column of an entity or has it
   in another type. #}
{% macro check_staged_columns(entity, staged) -%}
    {#- In unit tests a staging model is rows without a schema. -#}
    {%- if execute and staged.schema and load_relation(staged) is not none -%}
        {%- set columns = entity_columns(entity) -%}
        {%- set nulls = [] -%}
        {%- for column, type in columns.items() -%}
            {%- do nulls.append('cast(null as ' ~ type ~ ') as ' ~ column) -%}
        {%- endfor -%}
        {%- set expected = get_column_schema_from_query('select ' ~ nulls | join(', ')) -%}
        {%- set found = {} -%}
        {%- for column in get_column_schema_from_query('select * from ' ~ staged) -%}
            {%- do found.update({column.name | lower: column.dtype}) -%}
        {%- endfor -%}
        {%- set fault = staged_columns_fault(entity, columns, expected, found) -%}
        {%- if fault -%}
            {{ exceptions.raise_compiler_error('staging model ' ~ staged.identifier ~ ': ' ~ fault) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# The first column of an entity that a staging model lacks or has in another type, or nothing. #}
{% macro staged_columns_fault(entity, columns, expected, found) -%}
    {%- for column in expected -%}
        {%- set type = columns[column.name] -%}
        {%- if found.get(column.name) != column.dtype -%}
            {%- if column.name in found -%}
                {%- set advice = 'cast it there' -%}
            {%- elif column.name in entities()[entity].optional -%}
                {%- set advice = 'add it there, as cast(null as ' ~ type ~ ') where the system has none' -%}
            {%- else -%}
                {%- set advice = 'add it there' -%}
            {%- endif -%}
            {{- return(
                'column ' ~ column.name ~ ' of ' ~ entity ~ ': expected ' ~ type ~ ', found '
                ~ found.get(column.name, 'none') | lower ~ '; ' ~ advice
            ) -}}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
