{# For an incremental model that is built period by period: takes out the periods that lost rows of
   their input, of which no row is left to say so. What is taken out is built again, with what is left.

   A period differs that its input has no row of, or another number of rows, sum of an amount or value
   of an attribute of the period, as where a variable says that its weeks are counted from another day. #}
{% macro delete_periods_that_differ(period, input, row_count=none, amounts=[], attributes=[]) -%}
    {%- if is_incremental() -%}
        {%- set sums = [] -%}
        {%- for amount in amounts -%}
            {%- do sums.append('sum(' ~ amount ~ ')') -%}
        {%- endfor -%}
        {%- for attribute in attributes -%}
            {%- do sums.append('min(' ~ attribute ~ ')') -%}
        {%- endfor -%}
        {%- set built = [period, row_count or '1'] + sums -%}
        {%- set now = [period, 'count(*)' if row_count else '1'] + sums -%}
        {#- Rows are compared as sets: a period whose row is in both stays. -#}
        delete from {{ this }}
        where {{ period }} not in (
            select agreeing.{{ period }}
            from (
                select {{ built | join(', ') }} from {{ this }} group by {{ period }}
                intersect
                select {{ now | join(', ') }} from {{ input }} group by {{ period }}
            ) as agreeing
        )
    {%- endif -%}
{%- endmacro %}
