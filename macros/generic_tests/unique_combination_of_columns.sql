{% test unique_combination_of_columns(model, combination_of_columns, nullable=[]) %}

select
    {{ combination_of_columns | join(',\n    ') }},
    count(*) as row_count
from {{ model }}
group by {{ combination_of_columns | join(', ') }}
having
    count(*) > 1
    {%- for column in combination_of_columns if column not in nullable %}
    or {{ column }} is null
    {%- endfor %}

{% endtest %}
