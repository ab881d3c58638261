with source as (

    select * from {{ source('retail_db', 'demographics') }}

),

renamed as (

    select
        -- ids
        {{ source_key('retail_db', 'household_id') }} as household_id,

        -- strings
        age as age_band,
        income as income_band,
        home_ownership,
        marital_status,
        household_size,
        household_comp as household_composition,
        kids_count,
        _dlt_load_id as load_id

    from source

)

select * from renamed
