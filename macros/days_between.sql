{# Whole days from one date to another. dbt's datediff has another type on each engine. #}
{% macro days_between(first_date, second_date) -%}
    cast({{ dbt.datediff(first_date, second_date, 'day') | trim }} as integer)
{%- endmacro %}
