{# Calendar months from one first day of a month to another, as an integer on every engine. #}
{% macro months_between(first_month, second_month) -%}
    cast({{ dbt.datediff(first_month, second_month, 'month') | trim }} as integer)
{%- endmacro %}
