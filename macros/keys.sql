{# A system's own id as the warehouse has it: text, with the system's code in front ('rdb:101'). Ids
   of two systems never meet, whatever their type, and each is read back to its source at sight. Of
   several columns it has their values in order ('web:1001/3'), '/' and '%' in them as in an address
   ('%2F' and '%25'), so that two keys never share a text. A null, an empty or a blank value is no id,
   and neither is a key that lacks one of its values: null. #}
{% macro source_key(source_system, columns) -%}
    {%- set columns = [columns] if columns is string else columns -%}
    {%- set conditions, parts = [], ["'" ~ key_prefix(source_system) ~ "'"] -%}
    {%- for column in columns -%}
        {%- set text = 'cast(' ~ column ~ ' as ' ~ dbt.type_string() ~ ')' -%}
        {%- do conditions.append('not ' ~ is_blank(text)) -%}
        {%- if columns | length > 1 -%}
            {%- set text = "replace(replace(" ~ text ~ ", '%', '%25'), '/', '%2F')" -%}
        {%- endif -%}
        {%- do parts.append(text) if loop.first else parts.extend(["'/'", text]) -%}
    {%- endfor -%}
    case when {{ conditions | join(' and ') }} then {{ dbt.concat(parts) }} end
{%- endmacro %}

{# What the keys of a system begin with. #}
{% macro key_prefix(source_system) -%}
    {{- return(source_systems()[source_system].code ~ ':') -}}
{%- endmacro %}

{# The key of the explicit unknown member of every dimension. No id is like it: they have a code and
   a colon in front. #}
{% macro unknown_key() -%}
    'Unknown'
{%- endmacro %}

{# Whether a text has nothing but white space, or nothing at all; null of null. #}
{% macro is_blank(text) -%}
    {{- adapter.dispatch('is_blank', 'tally')(text) -}}
{%- endmacro %}

{% macro default__is_blank(text) -%}
    regexp_full_match({{ text }}, '[[:space:]]*')
{%- endmacro %}

{% macro spark__is_blank(text) -%}
    ({{ text }} rlike '^[[:space:]]*$')
{%- endmacro %}
