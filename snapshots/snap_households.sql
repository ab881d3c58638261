{% snapshot snap_households %}

    {{
        config(
            unique_key='household_id',
            strategy='check',
            check_cols=[
                'age_band',
                'income_band',
                'home_ownership',
                'marital_status',
                'household_size',
                'household_composition',
                'kids_count',
            ],
            hard_deletes='new_record',
        )
    }}

    {{ with_systems_not_built('survey_answers', ref('int_shared__survey_answers_unioned')) }}

{% endsnapshot %}
