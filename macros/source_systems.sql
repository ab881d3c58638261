{# What each source system gives to the business layers: the code that its keys begin with (macro
   source_key; short ones make a small warehouse), the staging model of every entity that it has
   (macro entities), and its tables with rows of single days, whose latest count says how far the days
   are whole. The variable source_systems says which of them are built. #}
{% macro source_systems() -%}
    {{- return({
        'retail_db': {
            'code': 'rdb',
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
            'code': 'web',
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
    {%- set fault = source_systems_fault(systems, source_systems()) -%}
    {%- if fault -%}
        {{ exceptions.raise_compiler_error('dbt_project.yml: ' ~ fault) }}
    {%- endif -%}
    {{- return(systems) -}}
{%- endmacro %}

{# What is wrong with the variable source_systems and what it names, or nothing. #}
{% macro source_systems_fault(systems, given) -%}
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
        {%- set code = given[system].get('code') -%}
        {%- if not modules.re.fullmatch('[a-z0-9]+', code | string) -%}
            {{- return(
                'source_systems: expected a code of ' ~ system ~ ', of small letters and digits, found '
                ~ (code or 'none') ~ '; correct it in macros/source_systems.sql'
            ) -}}
        {%- endif -%}
        {%- for other in given if other != system and given[other].get('code') == code -%}
            {{- return(
                'source_systems: expected a code each, found ' ~ code ~ ' of ' ~ system ~ ' and of '
                ~ other ~ '; change that of the one that was built last in macros/source_systems.sql'
            ) -}}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{# Whether a row is of a system that is built. #}
{% macro is_of_a_built_system() -%}
    source_system in ('{{ built_systems() | join("', '") }}')
{%- endmacro %}
