{# What a snapshot is taken of: the rows of an entity of all systems that are built and, of those that
   are not, the current versions as the snapshot has them. So a build without a system changes nothing
   of its history, in which its rows would be deleted otherwise; no later build could correct that.
   A build that reads no rows (`--empty`) changes nothing of any system's. #}
{% macro with_systems_not_built(entity, unioned) -%}
    {%- set columns = entity_columns(entity) -%}
    select
        {{ columns | join(',\n        ') }},
        source_system
    from {{ unioned }}
    {%- if execute and load_relation(this) is not none -%}
        {#- A column that came to the entity since is not in the snapshot yet. -#}
        {%- set held = adapter.get_columns_in_relation(this) | map(attribute='name') | map('lower') | list %}
    union all
    select
        {%- for column, type in columns.items() %}
        {{ column if column in held else 'cast(null as ' ~ type ~ ') as ' ~ column }},
        {%- endfor %}
        source_system
    from {{ this }}
    where
        dbt_valid_to is null
        and dbt_is_deleted = 'False'
        {%- if not flags.EMPTY %}
        and not {{ is_of_a_built_system() }}
        {%- endif %}
    {%- endif -%}
{%- endmacro %}
