{# What each source system gives to the business layers: the staging model of every entity that it
   has (macro entities), and its tables with rows of single days, whose latest count says how far
   the days are whole. The variable source_systems says which of them are built. #}
{% macro source_systems() -%}
    {{- return({
        'retail_db': {
            'entities': {
                'sales_lines': 'stg_retail_db__transactions',
                'products': 'stg_retail_db__products',
                'survey_answers': 'stg_retail_db__demographics',
                'campaigns': 'stg_retail_db__campaign_descriptions',
                'campaign_households': 'stg_retail_db__campaigns',
                'coupon_products': 'stg_retail_db__coupons',
                'coupon_redemptions': 'stg_retail_db__coupon_redemptions',
                'promotions': 'stg_promotion_feed__promotions',
                'load_control_totals': 'stg_retail_db__load_control_totals',
            },
            'dated_tables': ['transactions', 'coupon_redemptions'],
        },
        'online_shop': {
            'entities': {
                'sales_lines': 'stg_online_shop__sales_lines',
                'products': 'stg_online_shop__items',
                'households': 'stg_online_shop__customers',
                'load_control_totals': 'stg_online_shop__load_control_totals',
            },
            'dated_tables': ['orders', 'order_items'],
        },
    }) -}}
{%- endmacro %}

{# The systems that are built. What is wrong with the variables is one line. #}
{% macro built_systems() -%}
    {%- set systems = var('source_systems') -%}
    {%- set fault = source_systems_fault(
        systems, source_systems(), var('id_ranges'), var('unknown_key')
    ) -%}
    {%- if fault -%}
        {{ exceptions.raise_compiler_error('dbt_project.yml: ' ~ fault) }}
    {%- endif -%}
    {{- return(systems) -}}
{%- endmacro %}

{# What is wrong with the variables of the source systems, or nothing. #}
{% macro source_systems_fault(systems, given, id_ranges, unknown_key) -%}
    {%- set known = given | list -%}
    {%- if systems is string or systems is not sequence or not systems -%}
        {{- return(
            'source_systems: expected a list of ' ~ known | join(', ') ~ ', found ' ~ systems
            ~ '; write it as [' ~ known[0] ~ ']'
        ) -}}
    {%- endif -%}
    {%- for system in systems -%}
        {%- if system not in known -%}
            {{- return(
                'source_systems: expected some of ' ~ known | join(', ') ~ ', found ' ~ system
                ~ '; add it to macros/source_systems.sql'
            ) -}}
        {%- endif -%}
        {%- for entity in ['sales_lines', 'load_control_totals'] -%}
            {%- if entity not in given[system]['entities'] -%}
                {{- return(
                    'source_systems: expected ' ~ system ~ ' to have ' ~ entity
                    ~ ', found none; add its staging model to macros/source_systems.sql'
                ) -}}
            {%- endif -%}
        {%- endfor -%}
        {%- for entity in given[system]['entities'] if entity not in entities() -%}
            {{- return(
                'source_systems: expected entities of macros/entities.sql, found ' ~ entity ~ ' of '
                ~ system ~ '; correct it in macros/source_systems.sql'
            ) -}}
        {%- endfor -%}
        {%- if not given[system].get('dated_tables') -%}
            {{- return(
                'source_systems: expected ' ~ system ~ ' to have dated_tables, found none; name its'
                ~ ' tables with rows of single days in macros/source_systems.sql'
            ) -}}
        {%- endif -%}
        {%- if system not in id_ranges -%}
            {{- return(
                'id_ranges: expected the first and last id of ' ~ system ~ ', found none; add them'
            ) -}}
        {%- endif -%}
        {%- set first, last = id_ranges[system] -%}
        {%- if first <= unknown_key <= last -%}
            {{- return(
                'id_ranges: expected no range with the unknown_key ' ~ unknown_key ~ ', found that of '
                ~ system ~ '; move one of the two'
            ) -}}
        {%- endif -%}
        {%- for other in systems if other != system and other in id_ranges -%}
            {%- set other_first, other_last = id_ranges[other] -%}
            {%- if first <= other_last and other_first <= last -%}
                {{- return(
                    'id_ranges: expected ranges apart, found that of ' ~ system ~ ' and of ' ~ other
                    ~ ' to share ids; move one of the two'
                ) -}}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{# A system's own id as the warehouse has it: moved into the system's range (variable id_ranges), so
   that ids of two systems are never mistaken for one another. #}
{% macro system_id(source_system, id) -%}
    {{ id }} + {{ var('id_ranges')[source_system][0] }}
{%- endmacro %}

{# The system whose range an id lies in; null for one that lies in none, such as the unknown key. #}
{% macro source_system_of(id) -%}
    case
        {%- for system in built_systems() %}
        when {{ id }} between {{ var('id_ranges')[system][0] }} and {{ var('id_ranges')[system][1] }}
            then '{{ system }}'
        {%- endfor %}
    end
{%- endmacro %}
